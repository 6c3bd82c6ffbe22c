"""Reading a provider's HTTP answers without trusting their form."""

import math
from email.utils import parsedate_to_datetime
from typing import Any

import httpx

_LONGEST_PAUSE_SECONDS = 3600.0
_LONGEST_TOKEN = 4000


def json_object(response: httpx.Response) -> dict[str, Any]:
    """The body as a JSON object; empty if it is anything else."""
    try:
        body = response.json()
    except (ValueError, RecursionError):
        return {}
    return body if isinstance(body, dict) else {}


def is_token(text: str) -> bool:
    """Whether a provider's id or address is one we can keep: visible ASCII, at most 4000 characters."""
    return 0 < len(text) <= _LONGEST_TOKEN and text.isascii() and text.isprintable() and " " not in text


def storable(words: str) -> str:
    """A provider's words as PostgreSQL can hold them: no NUL, no lone surrogates."""
    return words.replace("\0", "").encode(errors="replace").decode()


def retry_after_seconds(response: httpx.Response) -> float | None:
    """Retry-After in seconds, from either of its forms; capped at an hour. None if absent or malformed.

    The date form is read against the answer's own Date, so that no clock of ours takes part.
    """
    value = response.headers.get("retry-after", "").strip()
    try:
        seconds = float(value)
    except ValueError:
        seconds = _seconds_until(value, response.headers.get("date", ""))
    return min(seconds, _LONGEST_PAUSE_SECONDS) if math.isfinite(seconds) and seconds >= 0 else None


def _seconds_until(moment: str, now: str) -> float:
    try:
        return (parsedate_to_datetime(moment) - parsedate_to_datetime(now)).total_seconds()
    except (TypeError, ValueError, OverflowError):
        return math.nan
