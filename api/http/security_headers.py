"""Headers of every response that tell browsers and caches what not to do with it."""

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_EVERYWHERE = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "X-Frame-Options": "DENY",
}
# What the API responds with is no page: nothing in it may load, run or be framed (OWASP REST security).
_NO_PAGE = "default-src 'none'; frame-ancestors 'none'"
_PAGE = "/docs"
# Its script is a file of ours, and calls this server alone.
_PAGE_POLICY = (
    "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; base-uri 'none';"
    " form-action 'none'; frame-ancestors 'none'"
)
_PRIVATE = "/v1/"
_WATCHED, _WATCHED_BY = "/v1/generations/", b"token=wt_"


class SecurityHeadersMiddleware:
    """Adds the headers that a route has not set. No cache keeps a response under /v1/ unless it says so."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                _add(MutableHeaders(scope=message), scope["path"])
                if _is_watched(scope):
                    MutableHeaders(scope=message)["Access-Control-Allow-Origin"] = "*"
            await send(message)

        await self._app(scope, receive, send_with_headers)


def _is_watched(scope: Scope) -> bool:
    """Return whether a page of any origin may read the response: its token is all that opens it."""
    path, query = str(scope["path"]), bytes(scope["query_string"])
    return scope["method"] == "GET" and path.startswith(_WATCHED) and query.startswith(_WATCHED_BY)


def _add(headers: MutableHeaders, path: str) -> None:
    for name, value in _EVERYWHERE.items():
        headers.setdefault(name, value)
    headers.setdefault("Content-Security-Policy", _PAGE_POLICY if path == _PAGE else _NO_PAGE)
    if path.startswith(_PRIVATE):
        headers.setdefault("Cache-Control", "no-store")
