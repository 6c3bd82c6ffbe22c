"""An id for every request, on its response and on every log line, and one line for each when it has ended.

Neither holds a secret: paths carry callback tokens and image signatures, so the route's template is logged,
and of its parameters those that are only ids.
"""

import logging
import re
import secrets
import time

import structlog
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.http.client import client_of
from runtime.logs import fields

REQUEST_ID = "X-Request-Id"

_log = logging.getLogger("darkroom.access")
# What a client sends is taken over if it cannot be mistaken for anything else in a log.
_GIVEN = re.compile(r"[A-Za-z0-9_.-]{8,64}")
_IDS = ("generation_id", "file_id", "model_id", "index", "provider")
_MAX_CHARACTERS = 100
_QUIET = ("/healthz", "/readyz", "/metrics")


class RequestLogMiddleware:
    """The outermost middleware: it sees every response, also those of the others."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        given = Headers(scope=scope).get(REQUEST_ID, "")
        request_id = given if _GIVEN.fullmatch(given) else f"req_{secrets.token_hex(12)}"
        started, status = time.perf_counter(), 500

        async def send_with_id(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                MutableHeaders(scope=message)[REQUEST_ID] = request_id
            await send(message)

        with structlog.contextvars.bound_contextvars(request_id=request_id):
            try:
                await self._app(scope, receive, send_with_id)
            finally:
                _write(scope, status, time.perf_counter() - started)


def note_caller(tenant_id: str, key_id: str) -> None:
    """Put the caller on all further log lines of the request."""
    structlog.contextvars.bind_contextvars(tenant_id=tenant_id, key_id=key_id)


def note_operator(key_id: str) -> None:
    """Put an operator's key on all further log lines of the request."""
    structlog.contextvars.bind_contextvars(operator_key_id=key_id)


def _write(scope: Scope, status: int, seconds: float) -> None:
    route = getattr(scope.get("route"), "path", "unmatched")
    ids = {
        name: str(value)[:_MAX_CHARACTERS]
        for name, value in scope.get("path_params", {}).items()
        if name in _IDS
    }
    level = logging.DEBUG if route in _QUIET else logging.INFO
    _log.log(
        level,
        "request",
        extra=fields(
            method=scope["method"][:_MAX_CHARACTERS],
            route=route,
            status=status,
            milliseconds=round(1000 * seconds, 1),
            client=client_of(scope).address,
            **ids,
        ),
    )
