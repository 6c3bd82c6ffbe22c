"""The header fields RateLimit and RateLimit-Policy (draft-ietf-httpapi-ratelimit-headers-11)."""

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.services.rate_limiter import Allowance

_STATE = "rate_allowance"


class RateLimitHeadersMiddleware:
    """Tells a client what is left of the allowance that its request took from."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_with_headers(message: Message) -> None:
            read = scope.get("state", {}).get(_STATE)
            if message["type"] == "http.response.start" and read is not None:
                _add(MutableHeaders(scope=message), read())
            await send(message)

        await self._app(scope, receive, send_with_headers)


def _add(headers: MutableHeaders, left: Allowance) -> None:
    headers["RateLimit-Policy"] = f'"{left.policy}";q={left.quota};w={left.window_seconds}'
    headers["RateLimit"] = f'"{left.policy}";r={left.remaining};t={left.reset_seconds}'
