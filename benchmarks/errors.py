"""What makes a benchmark worthless."""


class RunFailed(Exception):
    """A generation did not complete, or the reference's worker died; the message says which."""
