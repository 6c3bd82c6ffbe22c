"""Submissions and clients for the tests of synchronous adapters."""

import base64
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx

from adapters.providers.http.inline_images import InlineImageClient
from adapters.transport.http import HttpClient
from domain.errors import ContentRejected, TransientError
from domain.generation import GenerationRequest
from domain.moderation import ModeratedAt
from domain.ports import SynchronousProvider
from domain.provider import AttemptRef, Submission, SyncResult
from tests.unit.adapters.providers.mock_http import MockHttp, MockResponse
from tests.unit.adapters.providers.recorded import recorded

KEY = "sk-secret"
THREADS = ThreadPoolExecutor(2, thread_name_prefix="client-test")
# No adapter looks inside an image.
PICTURES = [b"\x89PNG the first\x00\xff", b"\x89PNG the second", b"\x89PNG the third"]
IN_BASE64 = [base64.b64encode(content).decode() for content in PICTURES]
# In the place of an answer's part, or of all of it: what nobody promised would not come.
NONSENSE: list[Any] = [None, [], {}, "", "text", 7, -1.5, True, [None], [[]], [{}], {"a": {"b": []}}, 10**400]


def asking(
    provider: str, endpoint: str = "model-1", *, n: int = 1, prompt: str = "a fox", **parameters: Any
) -> Submission:
    request = GenerationRequest(
        model="model",
        provider=provider,
        endpoint=endpoint,
        prompt=prompt,
        parameters={"n": n, **parameters},
        n=n,
        price_credits=n,
    )
    return Submission(AttemptRef("gen_1", 2), request, webhook_url="")


def client_on(http: HttpClient, *, total_seconds: float = 10.0, max_bytes: int = 10**8) -> InlineImageClient:
    return InlineImageClient(http, THREADS, total_seconds=total_seconds, max_bytes=max_bytes)


def client_answering(answer: MockResponse | Mapping[str, Any]) -> InlineImageClient:
    """Return a client that always gets this response; a mapping is the body of a 200."""
    return client_on(MockHttp(_response(answer)).http)


def wire_answering(answer: MockResponse | Mapping[str, Any]) -> MockHttp:
    return MockHttp(_response(answer))


def _response(answer: MockResponse | Mapping[str, Any]) -> MockResponse:
    return httpx.Response(200, json=answer) if isinstance(answer, Mapping) else answer


def facts(error: Exception) -> tuple[type[Exception], ModeratedAt | float | None]:
    """Return an error's class and what the service reads from it: the stage, or the pause."""
    if isinstance(error, ContentRejected):
        return type(error), error.at
    return type(error), error.retry_after_seconds if isinstance(error, TransientError) else None


async def recorded_result(
    provider: str,
    make: Callable[[InlineImageClient], SynchronousProvider],
    example: str,
    folder: Path,
) -> SyncResult:
    """Return what the adapter makes of a recorded response."""
    adapter = make(client_on(MockHttp(recorded(provider, example)).http))
    return await adapter.generate(asking(provider), folder)
