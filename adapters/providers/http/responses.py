"""Parse a provider's HTTP responses and webhook bodies without trusting their form."""

import json
import math
import re
from decimal import Decimal, InvalidOperation
from email.utils import parsedate_to_datetime
from typing import Any, TypeGuard

from adapters.transport.http import Response
from domain.errors import SignatureInvalid
from domain.provider import ProviderCost

MAX_RETRY_AFTER_SECONDS = 3600.0
MAX_MESSAGE_CHARACTERS = 2000
_MAX_TOKEN_CHARACTERS = 4000
_MAX_COST = 1_000_000_000
# Replicate states it in a sentence: "Your rate limit resets in ~30s."
_RESETS_IN = re.compile(r"resets in ~?([0-9]{1,6})s\b")


def json_object(response: Response) -> dict[str, Any]:
    """Return the body as a JSON object; an empty one if it is anything else."""
    try:
        body = response.json()
    except (ValueError, RecursionError):
        return {}
    return body if isinstance(body, dict) else {}


def event_object(body: bytes) -> dict[str, Any]:
    """Return a webhook's body as a JSON object. Raises SignatureInvalid if it is anything else."""
    try:
        event = json.loads(body)
    except (ValueError, RecursionError):
        raise SignatureInvalid from None
    if not isinstance(event, dict):
        raise SignatureInvalid
    return event


def is_token(value: object) -> TypeGuard[str]:
    """Return whether an id or address can be stored: visible ASCII text of at most 4000 characters."""
    if not isinstance(value, str) or not 0 < len(value) <= _MAX_TOKEN_CHARACTERS:
        return False
    return value.isascii() and value.isprintable() and " " not in value


def storable(message: str) -> str:
    """Return a message as PostgreSQL can hold it: no NUL, no lone surrogates, at most 2000 characters."""
    return message[:MAX_MESSAGE_CHARACTERS].replace("\0", "").encode(errors="replace").decode()


def cost_of(amount: object, unit: str) -> ProviderCost | None:
    """Return what a provider says it charged; None if it says nothing, or no believable amount."""
    try:
        exact = Decimal(str(amount))
    except InvalidOperation:
        return None
    return ProviderCost(exact, unit) if exact.is_finite() and 0 <= exact < _MAX_COST else None


def retry_after_seconds(response: Response) -> float | None:
    """Return when to retry, in seconds, at most an hour; None if the response does not say it.

    Retry-After counts in either of its forms, then `retry_after` in the body, then a sentence in `detail`.
    """
    body = json_object(response)
    words = _RESETS_IN.search(str(body.get("detail", "")))
    stated = (
        _header_seconds(response),
        _number(body.get("retry_after")),
        float(words[1]) if words else math.nan,
    )
    return next(
        (
            min(seconds, MAX_RETRY_AFTER_SECONDS)
            for seconds in stated
            if math.isfinite(seconds) and seconds >= 0
        ),
        None,
    )


def _header_seconds(response: Response) -> float:
    """Parse Retry-After. Its date form is compared with the response's own Date: our clock may differ."""
    value = response.headers.get("retry-after", "").strip()
    try:
        return float(value)
    except ValueError:
        return _seconds_between(response.headers.get("date", ""), value)


def _number(value: object) -> float:
    try:
        return float(value) if isinstance(value, int | float | str) else math.nan
    except (ValueError, OverflowError):
        return math.nan


def _seconds_between(start: str, end: str) -> float:
    try:
        return (parsedate_to_datetime(end) - parsedate_to_datetime(start)).total_seconds()
    except (TypeError, ValueError, OverflowError):
        return math.nan
