"""The errors of a benchmark."""


class RunFailed(Exception):
    """A generation did not end as expected, or the baseline's worker died; the message says which."""
