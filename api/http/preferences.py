"""The header field Prefer: how long a client wants to wait (RFC 7240)."""

import re
from typing import Annotated

from fastapi import Depends, Request

from api.http.declarations import declares

MAX_WAIT_SECONDS = 60
# A preference: its name, and its value as a token or a quoted string; parameters after it are not ours.
_WAIT = re.compile(r'wait\s*=\s*"?([0-9]{1,30})"?\s*(?:;.*)?', re.IGNORECASE)
_PARAMETER = {
    "name": "Prefer",
    "in": "header",
    "required": False,
    "description": f"`wait=N`: respond once it has ended, or after N seconds, at most {MAX_WAIT_SECONDS}.",
    "schema": {"type": "string"},
}
APPLIED = "Preference-Applied"


def preferred_wait_seconds(values: list[str]) -> int | None:
    """Return the seconds of `Prefer: wait=N`, at most 60; None without one that can be read.

    values: of all fields of that name. As the standard says, what cannot be read is ignored, and of two the
    first counts.
    """
    for preference in (part.strip() for value in values for part in value.split(",")):
        if match := _WAIT.fullmatch(preference):
            return min(int(match[1]), MAX_WAIT_SECONDS)
    return None


@declares(parameters=(_PARAMETER,))
async def _wait_seconds(request: Request) -> int | None:
    return preferred_wait_seconds(request.headers.getlist("prefer"))


PreferredWait = Annotated[int | None, Depends(_wait_seconds)]
