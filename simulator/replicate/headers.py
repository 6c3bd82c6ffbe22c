"""The headers that shape a create request: how long to wait for the end, and when to give up."""

import re
from collections.abc import Mapping

from simulator.replicate.errors import problem

MAX_WAIT_SECONDS = 60
MIN_CANCEL_AFTER_SECONDS = 5
_UNIT_SECONDS = {"s": 1, "m": 60, "h": 3600}
_DURATION = re.compile(r"(?:\d{1,6}[hms])+")


def wait_seconds(headers: Mapping[str, str]) -> int | None:
    """Return the seconds of `Prefer: wait` or `Prefer: wait=N`; None for anything else."""
    match = re.fullmatch(r"wait(?:=(\d{1,3}))?", headers.get("prefer", "").strip())
    if match is None:
        return None
    seconds = MAX_WAIT_SECONDS if match[1] is None else int(match[1])
    return seconds if 1 <= seconds <= MAX_WAIT_SECONDS else None


def cancel_after_seconds(headers: Mapping[str, str]) -> float | None:
    """Return the seconds of `Cancel-After: 1m30s`; plain digits are seconds. Raises Rejected."""
    text = headers.get("cancel-after", "").strip()
    if not text:
        return None
    if text.isascii() and text.isdecimal():
        text += "s"
    if not _DURATION.fullmatch(text):
        raise problem(422, "Invalid Cancel-After", "Cancel-After must be a duration such as 30s or 1m")
    parts = re.findall(r"(\d+)([hms])", text)
    seconds = sum(int(count) * _UNIT_SECONDS[unit] for count, unit in parts)
    if seconds < MIN_CANCEL_AFTER_SECONDS:
        raise problem(
            422, "Invalid Cancel-After", f"Cancel-After must be at least {MIN_CANCEL_AFTER_SECONDS}s"
        )
    return float(seconds)
