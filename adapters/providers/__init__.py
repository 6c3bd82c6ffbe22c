"""One file per provider: submit, fetch, cancel, read a webhook, and its ways of failing turned into ours."""
