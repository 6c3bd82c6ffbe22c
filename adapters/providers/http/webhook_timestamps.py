"""The age limit of signed webhooks, which keeps recorded ones from being sent again."""

import re

_TOLERANCE_SECONDS = 300
_TIMESTAMP = re.compile(r"[0-9]{10,11}")


def is_recent(timestamp: str, now: float) -> bool:
    """Whether a header's Unix time is at most five minutes before or after `now`."""
    return _TIMESTAMP.fullmatch(timestamp) is not None and abs(now - int(timestamp)) <= _TOLERANCE_SECONDS
