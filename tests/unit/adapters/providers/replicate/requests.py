"""A submission and a job for the tests of Replicate's adapter."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from adapters.providers.replicate.adapter import ReplicateProvider
from adapters.transport.http import HttpClient
from domain.generation import GenerationRequest
from domain.provider import AttemptRef, ProviderJob, Submission
from tests.unit.adapters.providers.mock_http import MockHttp, MockResponse

TOKEN = "r8_token"  # noqa: S105 - nobody's
API = "https://api.replicate.com/v1"
JOB_ID = "gm3qorzdhgbfurvjtvhg6dckhu"
PREDICTION = f"{API}/predictions/{JOB_ID}"
REQUEST = GenerationRequest(
    model="flux-schnell-replicate",
    provider="replicate",
    endpoint="black-forest-labs/flux-schnell",
    prompt="a fox",
    parameters={"n": 2, "aspect_ratio": "16:9", "output_format": "jpeg", "seed": 7},
    n=2,
    price_credits=2,
)
SUBMISSION = Submission(
    AttemptRef("gen_1"), REQUEST, "https://darkroom.test/v1/webhooks/replicate/gen_1/1.abc"
)
JOB = ProviderJob(JOB_ID, {"get": PREDICTION, "cancel": f"{PREDICTION}/cancel"})


def replicate_on(http: HttpClient, url: str = API) -> ReplicateProvider:
    return ReplicateProvider(http, token=TOKEN, url=url, result_hosts=("*.replicate.delivery",))


def replicate_answering(answers: Mapping[str, MockResponse] | MockResponse) -> ReplicateProvider:
    return replicate_on(MockHttp(answers).http)


def asking(endpoint: str = REQUEST.endpoint, n: int = 1, **parameters: Any) -> Submission:
    request = replace(REQUEST, endpoint=endpoint, n=n, parameters={"n": n, **parameters})
    return replace(SUBMISSION, request=request)
