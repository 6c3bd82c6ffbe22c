"""A submission and a job for the tests of fal's adapter."""

from collections.abc import Mapping

from adapters.providers.fal.adapter import FalProvider
from adapters.transport.http import HttpClient
from domain.generation import GenerationRequest
from domain.provider import AttemptRef, ProviderJob, Submission
from tests.unit.adapters.providers.mock_http import MockHttp, MockResponse

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


def fal_on(http: HttpClient, queue_url: str = QUEUE) -> FalProvider:
    return FalProvider(http, key=KEY, queue_url=queue_url, result_hosts=("fal.media",))


def fal_answering(answers: Mapping[str, MockResponse] | MockResponse) -> FalProvider:
    return fal_on(MockHttp(answers).http)
