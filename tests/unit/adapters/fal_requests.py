"""What fal's adapter is asked for in these tests, and an HTTP client that answers from a table."""

import json
from collections.abc import Mapping
from typing import Any

import httpx

from adapters.providers.fal import FalProvider
from domain.generation import GenerationRequest
from domain.provider import AttemptRef, ProviderJob, Submission

KEY = "key-id:key-secret"
QUEUE = "https://queue.fal.test"
REQUESTS = f"{QUEUE}/fal-ai/flux/requests/job-1"
REQUEST = GenerationRequest(
    model="flux-schnell",
    provider="fal",
    endpoint="fal-ai/flux/schnell",
    prompt="a fox",
    parameters={"n": 2, "size": "512x768", "output_format": "png", "seed": 7},
    n=2,
    price_credits=2,
)
SUBMISSION = Submission(
    AttemptRef("gen_1"), REQUEST, "https://darkroom.test/v1/webhooks/fal/gen_1/1.abc?a=b&c"
)
JOB = ProviderJob(
    "job-1", {"status": f"{REQUESTS}/status", "response": REQUESTS, "cancel": f"{REQUESTS}/cancel"}
)

Answer = httpx.Response | httpx.HTTPError


class Wire:
    """Answers by `METHOD address` without its query, and keeps every request."""

    def __init__(self, answers: Mapping[str, Answer] | Answer) -> None:
        self.requests: list[httpx.Request] = []
        self._answers = answers
        self.http = httpx.AsyncClient(transport=httpx.MockTransport(self._answer))

    def _answer(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        if isinstance(self._answers, Mapping):
            found = self._answers[f"{request.method} {request.url.copy_with(query=None)}"]
        else:
            found = self._answers
        if isinstance(found, httpx.HTTPError):
            raise found
        return found


def fal_on(http: httpx.AsyncClient, queue_url: str = QUEUE) -> FalProvider:
    return FalProvider(http, key=KEY, queue_url=queue_url, result_hosts=("fal.media",))


def fal_answering(answers: Mapping[str, Answer] | Answer) -> FalProvider:
    return fal_on(Wire(answers).http)


def body_of(request: httpx.Request) -> dict[str, Any]:
    read: dict[str, Any] = json.loads(request.content)
    return read
