"""Reading a provider's HTTP answers without trusting their form."""

import json
import math
import re
from decimal import Decimal, InvalidOperation
from email.utils import parsedate_to_datetime
from typing import Any

import httpx

from domain.errors import SignatureInvalid
from domain.provider import ProviderCost

_LONGEST_PAUSE_SECONDS = 3600.0
_LONGEST_TOKEN = 4000
_MOST_WORDS = 2000
_HIGHEST_COST = 1_000_000_000
# Replicate says it in a sentence: "Your rate limit resets in ~30s."
_RESETS_IN = re.compile(r"resets in ~?([0-9]{1,6})s\b")


def json_object(response: httpx.Response) -> dict[str, Any]:
    """The body as a JSON object; empty if it is anything else."""
    try:
        body = response.json()
    except (ValueError, RecursionError):
        return {}
    return body if isinstance(body, dict) else {}


def event_object(body: bytes) -> dict[str, Any]:
    """A webhook's body as a JSON object. Raises SignatureInvalid if it is anything else."""
    try:
        event = json.loads(body)
    except (ValueError, RecursionError):
        raise SignatureInvalid from None
    if not isinstance(event, dict):
        raise SignatureInvalid
    return event


def is_token(text: str) -> bool:
    """Whether a provider's id or address is one we can keep: visible ASCII, at most 4000 characters."""
    return 0 < len(text) <= _LONGEST_TOKEN and text.isascii() and text.isprintable() and " " not in text


def storable(words: str) -> str:
    """A provider's words as PostgreSQL can hold them: no NUL, no lone surrogates, at most 2000 characters."""
    return words[:_MOST_WORDS].replace("\0", "").encode(errors="replace").decode()


def cost_of(amount: object, unit: str) -> ProviderCost | None:
    """What a provider says it charged; None if it says nothing, or nothing that can be an amount."""
    try:
        exact = Decimal(str(amount))
    except InvalidOperation:
        return None
    return ProviderCost(exact, unit) if exact.is_finite() and 0 <= exact < _HIGHEST_COST else None


def retry_after_seconds(response: httpx.Response) -> float | None:
    """When to come again, in seconds, capped at an hour. None if that is not said, or not so as to be read.

    Retry-After counts in either of its forms, then `retry_after` in the body, then its `detail` in words.
    """
    body = json_object(response)
    words = _RESETS_IN.search(str(body.get("detail", "")))
    told = (_by_header(response), _number(body.get("retry_after")), float(words[1]) if words else math.nan)
    return next(
        (min(seconds, _LONGEST_PAUSE_SECONDS) for seconds in told if math.isfinite(seconds) and seconds >= 0),
        None,
    )


def _by_header(response: httpx.Response) -> float:
    """The date form is read against the answer's own Date, so that no clock of ours takes part."""
    value = response.headers.get("retry-after", "").strip()
    try:
        return float(value)
    except ValueError:
        return _seconds_until(value, response.headers.get("date", ""))


def _number(value: object) -> float:
    try:
        return float(value) if isinstance(value, int | float | str) else math.nan
    except (ValueError, OverflowError):
        return math.nan


def _seconds_until(moment: str, now: str) -> float:
    try:
        return (parsedate_to_datetime(moment) - parsedate_to_datetime(now)).total_seconds()
    except (TypeError, ValueError, OverflowError):
        return math.nan
