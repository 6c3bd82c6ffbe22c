"""What makes a benchmark worthless."""


class RunFailed(Exception):
    """A generation did not end as it should, or the reference's worker died; the message says which."""
