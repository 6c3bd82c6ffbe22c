"""Sends usage events to the billing system that the operator named.

The address is the operator's own, so it may be private. What it answers is not trusted to be short or quick:
of the response only the head is read, and no redirect is followed, so that the token goes nowhere else.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence

from adapters.transport.errors import HttpError
from adapters.transport.http import HttpClient, Request, StreamedResponse, Timeouts, open_client
from domain.ports.usage_events import UsageResponse
from domain.usage_events import BATCH_CONTENT_TYPE, Charge, batch_body

_CONNECT_SECONDS = 10.0
_OK = range(200, 300)


def billing_client(timeout_seconds: float) -> HttpClient:
    """Open the connections to the billing system, which nothing else uses."""
    timeouts = Timeouts(_CONNECT_SECONDS, timeout_seconds, timeout_seconds, timeout_seconds)
    return open_client(timeouts, max_connections=2, max_response_bytes=0)


class HttpBillingReceiver:
    """Sends each batch in one request, whose status decides.

    timeout_seconds: For one request, from the look-up of the name to the status.
    """

    def __init__(
        self, client: HttpClient, url: str, token: str | None, source: str, *, timeout_seconds: float
    ) -> None:
        self._client = client
        self._url = url
        self._headers = {"Content-Type": BATCH_CONTENT_TYPE}
        if token is not None:
            self._headers["Authorization"] = f"Bearer {token}"
        self._source = source
        self._timeout_seconds = timeout_seconds

    async def send_batch(self, charges: Sequence[Charge]) -> UsageResponse:
        body = batch_body(charges, self._source)
        headers = {**self._headers, "Content-Length": str(len(body))}
        status: int | None = None
        try:
            async with asyncio.timeout(self._timeout_seconds):
                request = Request("POST", self._url, headers, content=_pieces(body))
                async with self._client.stream(request) as response:
                    status = response.status_code
                    return _read(response)
        except (HttpError, TimeoutError) as error:
            if status is not None and status in _OK:  # what breaks after it changes nothing
                return UsageResponse(None)
            return UsageResponse(str(error) or type(error).__name__)


async def _pieces(body: bytes) -> AsyncIterator[bytes]:
    yield body


def _read(response: StreamedResponse) -> UsageResponse:
    if response.status_code in _OK:
        return UsageResponse(None)
    wait = response.headers.get("retry-after", "")
    seconds = float(wait) if wait.isascii() and wait.isdecimal() and len(wait) < len("1000000000") else None
    return UsageResponse(f"status {response.status_code}", seconds)
