"""The way to operators' routes, which is there only for who brings an operator's key.

They are an application of their own, so to everybody else their paths are paths that there are not: whatever
the public application does with such a one, it does with these.
"""

from fastapi import Request
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Receive, Scope, Send

from api.http.client import client_of
from api.http.request_log import note_operator
from domain.errors import ServiceError, Unauthenticated
from domain.operators import OPERATOR_KEY_PREFIX, Operator

PREFIX = "/v1/admin/"
_WANTED = f"a valid key of an operator is needed: Authorization: Bearer {OPERATOR_KEY_PREFIX}…"
_ANSWERED = (ServiceError, HTTPException)


class OperatorDoorMiddleware:
    """Leads requests with an operator's key to operators' routes, once it is found to be genuine.

    A wrong key with the prefix of operators is refused with 401 on every path here, whether there is a route
    or not, and asked for in the table of operators' keys alone.
    """

    def __init__(self, app: ASGIApp, *, operators: ASGIApp) -> None:
        self._app = app
        self._operators = operators

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        key = _operator_key(scope) if scope["type"] == "http" and scope["path"].startswith(PREFIX) else None
        if key is None:
            await self._app(scope, receive, send)
            return
        request = Request(scope)
        try:
            await _admit(request, key)
        except _ANSWERED as error:
            await _refuse(request, error, send)
            return
        await self._operators(scope, receive, send)


def operator_of(request: Request) -> Operator:
    """Return who was let in."""
    operator: Operator = request.state.operator
    return operator


async def _admit(request: Request, key: str) -> None:
    client = client_of(request)
    try:
        operator = await request.app.state.services.operators.guard.identify_caller(key, client)
    except Unauthenticated:
        raise Unauthenticated(_WANTED) from None
    note_operator(operator.key_id)
    await client.mark_authenticated(operator.party)
    request.state.operator = operator


async def _refuse(request: Request, error: Exception, send: Send) -> None:
    """Answer as the public application answers to the same error in a route."""
    [render] = [request.app.exception_handlers[kind] for kind in _ANSWERED if isinstance(error, kind)]
    response = await render(request, error)
    await response(request.scope, request.receive, send)


def _operator_key(scope: Scope) -> str | None:
    """Return the key that the request brings, if it says that it is one of an operator."""
    given = Headers(scope=scope).getlist("authorization")
    scheme, _, key = (given[0] if len(given) == 1 else "").partition(" ")
    return key if scheme.lower() == "bearer" and key.startswith(OPERATOR_KEY_PREFIX) else None
