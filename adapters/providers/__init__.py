"""One folder per provider, each with a SPEC; `http/` has the tools that they share."""
