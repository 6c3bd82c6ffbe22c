"""Sends webhooks to addresses of strangers: guarded, within limits of time, and without reading much.

What decides is the status. Of the body only the beginning is looked at, for the log of the client.
"""

import asyncio
import ssl
import time
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus

from adapters.resolver import on_behalf_of
from adapters.storage.address_guard import AddressGuard
from adapters.transport.errors import HttpError, NotConnected, Unsendable
from adapters.transport.guard import Guard
from adapters.transport.http import GuardedPool, InvalidUrl, StreamedResponse, Timeouts, Url
from domain.errors import InvalidInput, ResultUnusable
from domain.webhook_urls import check_webhook_url
from domain.webhooks import MAX_EXCERPT_CHARACTERS, DeliveryError, WebhookResponse

_LOOKUPS_OF_A_TENANT = 8
_MAX_CONNECTIONS = 1000
_CONNECT_SECONDS = 10.0
_EXCERPT_SECONDS, _EXCERPT_BYTES = 1.0, 1000
_HEADERS = {
    "Content-Type": "application/json",
    "User-Agent": "darkroom-webhooks",
    "Accept-Encoding": "identity",
    # One that was kept open might be closed by the other side just as the next webhook goes out on it.
    "Connection": "close",
}
_OK = range(200, 300)
_REDIRECTS = range(300, 400)
_MAX_CAUSES = 10


def webhook_pool(
    origins: Sequence[str],
    timeout_seconds: float,
    *,
    tls: ssl.SSLContext | None = None,
    guard: Guard | None = None,
) -> GuardedPool:
    """Open the connections of webhooks, which nothing else uses.

    origins: of receivers that may be private addresses. guard: another one than that of public addresses.
    """
    timeouts = Timeouts(_CONNECT_SECONDS, timeout_seconds, timeout_seconds, timeout_seconds)
    guard = guard or AddressGuard(origins, max_lookups_each=_LOOKUPS_OF_A_TENANT)
    return GuardedPool(guard, tls, timeouts, max_connections=_MAX_CONNECTIONS)


class GuardedWebhookSender:
    """Sends one request for each call, and follows no redirect.

    origins: as in `webhook_pool`. timeout_seconds: From the look-up of the name to the status.
    """

    def __init__(self, pool: GuardedPool, origins: Sequence[str], *, timeout_seconds: float) -> None:
        self._pool = pool
        self._origins = origins
        self._timeout_seconds = timeout_seconds

    async def send_webhook(
        self, url: str, headers: Mapping[str, str], body: bytes, *, tenant_id: str
    ) -> WebhookResponse:
        began = time.monotonic()
        status, retry_after, excerpt = None, None, ""
        problem: DeliveryError | None = None
        try:
            check_webhook_url(url, self._origins, field="url")  # the setting may have changed since
            async with asyncio.timeout(self._timeout_seconds) as limit:
                with on_behalf_of(tenant_id):
                    sending = self._pool.stream(
                        Url(url), {**_HEADERS, **headers}, method="POST", content=body
                    )
                    async with sending as response:
                        status = response.status_code
                        retry_after = _retry_after(response.headers.get("retry-after", ""))
                        limit.reschedule(asyncio.get_running_loop().time() + _EXCERPT_SECONDS)
                        excerpt = await _excerpt(response)
        except (HttpError, TimeoutError, ResultUnusable, InvalidInput, InvalidUrl, UnicodeError) as error:
            problem = _problem_of(error)
        if status is not None:  # what breaks after it changes nothing
            problem = _problem_of_status(status)
        duration_ms = round((time.monotonic() - began) * 1000)
        return WebhookResponse(status, problem, duration_ms, retry_after, excerpt)


async def _excerpt(response: StreamedResponse) -> str:
    """Return the printable beginning of the body; what does not come at once is left out."""
    read = b""
    async for chunk in response.chunks:
        read += chunk[:_EXCERPT_BYTES]
        if len(read) >= _EXCERPT_BYTES:
            break
    text = read[:_EXCERPT_BYTES].decode("utf-8", "replace")
    return "".join(each if each.isprintable() else " " for each in text)[:MAX_EXCERPT_CHARACTERS]


def _problem_of_status(status: int) -> DeliveryError | None:
    if status in _OK:
        return None
    if status in _REDIRECTS:
        return DeliveryError.REDIRECT
    return DeliveryError.GONE if status == HTTPStatus.GONE else DeliveryError.STATUS


def _problem_of(error: Exception) -> DeliveryError:
    if isinstance(error, TimeoutError):
        return DeliveryError.TIMEOUT
    if isinstance(error, ResultUnusable):
        return DeliveryError.ADDRESS_REFUSED
    if isinstance(error, Unsendable | InvalidInput | InvalidUrl | UnicodeError):
        return DeliveryError.URL_REFUSED
    if any(isinstance(cause, ssl.SSLError) for cause in _causes(error)):
        return DeliveryError.TLS
    return DeliveryError.NOT_CONNECTED if isinstance(error, NotConnected) else DeliveryError.BROKEN


def _causes(error: BaseException) -> Iterator[BaseException]:
    cause: BaseException | None = error
    for _ in range(_MAX_CAUSES):
        if cause is None:
            return
        yield cause
        cause = cause.__cause__ or cause.__context__


def _retry_after(value: str) -> float | None:
    """Return the seconds of a Retry-After header, which are a number or a date (RFC 9110, 10.2.3)."""
    if value.isascii() and value.isdecimal() and len(value) <= len(str(2**31)):
        return float(value)
    try:
        until = parsedate_to_datetime(value)
    except (TypeError, ValueError):
        return None
    if until.tzinfo is None:
        until = until.replace(tzinfo=UTC)
    return max(0.0, (until - datetime.now(UTC)).total_seconds())
