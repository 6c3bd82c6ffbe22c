"""The header fields Cancel-After and Start-Within: how long a client gives a job."""

import re
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import Depends, Header, Request

from api.deps import CanCreateGenerations, IdempotencyKey, ServicesDep
from domain.errors import InvalidInput
from domain.tenant import RatePolicy

MAX_DEADLINE_SECONDS = 86_400
CANCEL_AFTER, START_WITHIN = "Cancel-After", "Start-Within"
_DURATION = re.compile(r"([0-9]{1,6})(s|m|h|)")
_UNIT_SECONDS = {"": 1, "s": 1, "m": 60, "h": 3600}
_FORMS = "a whole number of seconds, or one with s, m or h, from 1s to 24h, sent once"
_FORMAT: dict[str, Any] = {"format": "short-duration"}
_DESCRIPTIONS = {
    CANCEL_AFTER: "Cancel the job this long after it was accepted: `90`, `90s`, `5m`, `1h`.",
    START_WITHIN: "Fail the job, free of charge, if no provider has taken it by then: `10s`.",
}


@dataclass(frozen=True)
class Deadlines:
    """What a client gives a job, in seconds from when it was accepted."""

    cancel_after_seconds: int | None = None
    start_within_seconds: int | None = None


def read_duration(name: str, values: list[str]) -> int | None:
    """Return the seconds of a header field; None if it was not sent. Raises InvalidInput.

    values: of all fields of that name.
    """
    if not values:
        return None
    match = _DURATION.fullmatch(values[0].strip())
    seconds = int(match[1]) * _UNIT_SECONDS[match[2]] if match else 0
    if len(values) > 1 or not 1 <= seconds <= MAX_DEADLINE_SECONDS:
        raise InvalidInput(errors=((name, _FORMS),))
    return seconds


async def _deadlines(
    request: Request,
    caller: CanCreateGenerations,
    services: ServicesDep,
    key: IdempotencyKey,
    # Read from the request, as a field that is sent twice is refused; these are for the OpenAPI document.
    _cancel_after: Annotated[
        str | None,
        Header(alias=CANCEL_AFTER, description=_DESCRIPTIONS[CANCEL_AFTER], json_schema_extra=_FORMAT),
    ] = None,
    _start_within: Annotated[
        str | None,
        Header(alias=START_WITHIN, description=_DESCRIPTIONS[START_WITHIN], json_schema_extra=_FORMAT),
    ] = None,
) -> Deadlines:
    try:
        return Deadlines(
            read_duration(CANCEL_AFTER, request.headers.getlist(CANCEL_AFTER)),
            read_duration(START_WITHIN, request.headers.getlist(START_WITHIN)),
        )
    except InvalidInput:
        if key is not None:  # it is no repeat of what was accepted
            services.rate_limiter.take(caller, RatePolicy.CREATE)
        raise


DeadlineHeaders = Annotated[Deadlines, Depends(_deadlines)]
