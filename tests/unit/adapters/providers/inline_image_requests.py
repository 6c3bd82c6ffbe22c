"""What the providers that answer with the images themselves are asked for in these tests."""

import base64
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx

from adapters.providers.spool import Spool
from domain.errors import ContentRejected, TransientError
from domain.generation import GenerationRequest
from domain.moderation import ModeratedAt
from domain.provider import AttemptRef, Submission
from tests.unit.adapters.answering import SyncResult, Wire

KEY = "sk-secret"
THREADS = ThreadPoolExecutor(2, thread_name_prefix="spool-test")
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


def spool_on(http: httpx.AsyncClient, *, total_seconds: float = 10.0, max_bytes: int = 10**8) -> Spool:
    return Spool(http, THREADS, total_seconds=total_seconds, max_bytes=max_bytes)


def spool_answering(answer: SyncResult | Mapping[str, Any]) -> Spool:
    """The same answer every time; a mapping is the body of a 200."""
    return spool_on(Wire(_response(answer)).http)


def wire_answering(answer: SyncResult | Mapping[str, Any]) -> Wire:
    return Wire(_response(answer))


def _response(answer: SyncResult | Mapping[str, Any]) -> SyncResult:
    return httpx.Response(200, json=answer) if isinstance(answer, Mapping) else answer


def facts(error: Exception) -> tuple[type[Exception], ModeratedAt | float | None]:
    """An error's class, and what else of it is acted upon: whose content it was, or how long to wait."""
    if isinstance(error, ContentRejected):
        return type(error), error.at
    return type(error), error.retry_after_seconds if isinstance(error, TransientError) else None
