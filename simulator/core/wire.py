"""JSON bodies, read with a maximum size and written in ASCII, so that no text breaks a response."""

import json
from collections.abc import Mapping
from typing import Any, NoReturn

from starlette.requests import Request
from starlette.responses import Response


class BodyInvalid(ValueError):
    """The body is too long or not JSON."""


def dump(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


def answer(body: object, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    return Response(dump(body), status, headers, media_type="application/json")


async def read_body(request: Request, max_bytes: int) -> bytes:
    """Read the body. Raises BodyInvalid if it is longer."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > max_bytes:
            raise BodyInvalid(f"body longer than {max_bytes} bytes")
    return bytes(body)


async def read_json(request: Request, max_bytes: int) -> Any:
    """Raises BodyInvalid."""
    body = await read_body(request, max_bytes)
    try:
        return json.loads(body, parse_constant=_no_number)
    except (ValueError, RecursionError) as error:
        raise BodyInvalid(f"body is not JSON: {error}") from error


def _no_number(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a JSON number")
