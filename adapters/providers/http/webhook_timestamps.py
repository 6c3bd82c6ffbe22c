"""The age limit of signed webhooks: a recorded one cannot be replayed later."""

import re

_TOLERANCE_SECONDS = 300
_TIMESTAMP = re.compile(r"[0-9]{10,11}")


def is_recent(timestamp: str, now: float) -> bool:
    """Return whether a header's Unix time is at most five minutes before or after `now`."""
    return _TIMESTAMP.fullmatch(timestamp) is not None and abs(now - int(timestamp)) <= _TOLERANCE_SECONDS
