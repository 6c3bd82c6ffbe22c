"""The HTTP API. It writes rows, starts workflows and queries them; it moves no credits."""
