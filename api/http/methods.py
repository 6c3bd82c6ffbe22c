"""HEAD, OPTIONS, 405 and 204 for every route: what RFC 9110 wants of a server, and the router does not do.

The router knows HEAD only where a route names it, says of a path with two routes what one of them allows, and
names a type of the body where there is none.
"""

import re
from collections.abc import Iterable
from http import HTTPStatus

from fastapi import FastAPI
from fastapi.routing import iter_route_contexts
from starlette.datastructures import MutableHeaders
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.http.problems import problem

_ORDER = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")


class _HeadersSent(Exception):
    """Ends the work on a HEAD request, which may be on a stream that would not end by itself."""


class MethodsMiddleware:
    """The innermost middleware: what it lets through has its limits, headers and log line as any request."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._routes: tuple[tuple[re.Pattern[str], frozenset[str]], ...] | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        named = self._named_methods(scope["app"], scope["path"])
        if scope["method"] == "OPTIONS" and named and "OPTIONS" not in named:
            await Response(status_code=HTTPStatus.NO_CONTENT, headers={"Allow": _allow(named)})(
                scope, receive, send
            )
        elif scope["method"] == "HEAD" and "GET" in named and "HEAD" not in named:
            await self._run_as_get(scope, receive, send)
        elif named and scope["method"] not in named:
            status = HTTPStatus.METHOD_NOT_ALLOWED
            refusal = problem(status, "method_not_allowed", status.phrase, headers={"Allow": _allow(named)})
            await refusal(scope, receive, send)
        else:
            await self._app(scope, receive, _corrected(send))

    def _named_methods(self, app: FastAPI, path: str) -> frozenset[str]:
        """Return the methods that the routes of a path name; none if it has no route.

        A path that is also an id of another route, such as `/estimate`, is not that route.
        """
        if self._routes is None:  # an application has all its routes before its first request
            self._routes = tuple(
                (route.path_regex, frozenset(route.methods or ()))
                for route in iter_route_contexts(app.routes)
            )
        found = [(pattern.groups, methods) for pattern, methods in self._routes if pattern.match(path)]
        fewest = min((parameters for parameters, _ in found), default=0)
        return frozenset().union(*(methods for parameters, methods in found if parameters == fewest))

    async def _run_as_get(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_head(message: Message) -> None:
            if message["type"] != "http.response.start":
                raise _HeadersSent
            await send(message)
            await send({"type": "http.response.body", "body": b"", "more_body": False})

        scope["method"] = "GET"
        try:
            await self._app(scope, receive, send_head)
        except _HeadersSent:
            pass
        finally:
            scope["method"] = "HEAD"


def _corrected(send: Send) -> Send:
    async def send_corrected(message: Message) -> None:
        if message["type"] == "http.response.start" and message["status"] == HTTPStatus.NO_CONTENT:
            del MutableHeaders(scope=message)["Content-Type"]
        await send(message)

    return send_corrected


def _allow(named: Iterable[str]) -> str:
    every = {*named, "OPTIONS"} | ({"HEAD"} if "GET" in named else set())
    return ", ".join(sorted(every, key=_ORDER.index))
