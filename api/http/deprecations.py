"""What will go. docs/versioning.md has the policy, and a row for each.

An operation that will go says so in its responses (RFC 9745, RFC 8594). Of a header or a field only the
description of the API says it: what answers with it stays.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import format_datetime
from enum import StrEnum
from typing import Any

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

MIN_NOTICE_DAYS = 365


class Kind(StrEnum):
    """What is deprecated: an operation, by its id; a field, as `Schema.field`; a header of responses."""

    OPERATION = "operation"
    FIELD = "field"
    HEADER = "header"


@dataclass(frozen=True)
class Deprecation:
    """since: when it was announced. until: it stays at least so long. instead: what to use."""

    kind: Kind
    name: str
    since: datetime
    until: datetime
    instead: str

    @property
    def text(self) -> str:
        span = f"Deprecated since {self.since:%Y-%m-%d}; stays until {self.until:%Y-%m-%d}."
        return f"{span} Use `{self.instead}`."


DEPRECATIONS = (
    Deprecation(
        Kind.HEADER,
        "Idempotency-Replayed",
        since=datetime(2026, 11, 26, tzinfo=UTC),
        until=datetime(2027, 12, 31, tzinfo=UTC),
        instead="Idempotent-Replayed",
    ),
)


class DeprecationMiddleware:
    """Adds `Deprecation` and `Sunset` to the responses of operations that will go."""

    def __init__(self, app: ASGIApp, *, deprecations: Sequence[Deprecation] = DEPRECATIONS) -> None:
        self._app = app
        self._operations = {each.name: each for each in deprecations if each.kind is Kind.OPERATION}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_with_headers(message: Message) -> None:
            # The router has put the route there by now, if there is one.
            found = self._operations.get(getattr(scope.get("route"), "name", ""))
            if found is not None and message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers["Deprecation"] = f"@{int(found.since.timestamp())}"
                headers["Sunset"] = format_datetime(found.until, usegmt=True)
            await send(message)

        await self._app(scope, receive, send_with_headers if self._operations else send)


def mark(openapi: Mapping[str, Any], deprecations: Sequence[Deprecation] = DEPRECATIONS) -> None:
    """Mark in a description what will go, and say what to use instead."""
    for deprecation in deprecations:
        for found in _places(openapi, deprecation):
            found["deprecated"] = True
            found["description"] = " ".join(filter(None, (found.get("description"), deprecation.text)))


def _places(openapi: Mapping[str, Any], deprecation: Deprecation) -> Iterator[dict[str, Any]]:
    operations = [operation for methods in openapi["paths"].values() for operation in methods.values()]
    match deprecation.kind:
        case Kind.OPERATION:
            yield from (each for each in operations if each["operationId"] == deprecation.name)
        case Kind.FIELD:
            schema, _, field = deprecation.name.partition(".")
            yield openapi["components"]["schemas"][schema]["properties"][field]
        case Kind.HEADER:
            for response in (each for operation in operations for each in operation["responses"].values()):
                if deprecation.name in response.get("headers", {}):
                    yield response["headers"][deprecation.name]
