"""A submission and a job for the tests of BFL's adapter."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from adapters.providers.bfl.adapter import BflProvider
from adapters.transport.http import HttpClient
from domain.generation import GenerationRequest
from domain.keyring import Keyring
from domain.provider import AttemptRef, ProviderJob, Submission
from tests.support.local_inspector import invert_alpha_here
from tests.unit.adapters.providers.mock_http import MockHttp, MockResponse

KEY = "bfl-key"
KEYRING = Keyring.of("master key", ["a key before"])
API = "https://api.bfl.ai"
REGION = "https://api.us1.bfl.ai/v1/get_result"
JOB_ID = "7c5a8f30-0000-4000-8000-000000000001"
REQUEST = GenerationRequest(
    model="flux-2-pro",
    provider="bfl",
    endpoint="flux-2-pro",
    prompt="a fox",
    parameters={"n": 1, "size": "1024x768", "output_format": "jpeg", "seed": 7},
    n=1,
    price_credits=3,
)
SUBMISSION = Submission(AttemptRef("gen_1"), REQUEST, "https://darkroom.test/v1/webhooks/bfl/gen_1/1.abc")
JOB = ProviderJob(JOB_ID, {"polling": f"{REGION}?id={JOB_ID}"})


def bfl_on(http: HttpClient, keyring: Keyring | None = None, url: str = API) -> BflProvider:
    return BflProvider(
        http,
        key=KEY,
        url=url,
        polling_hosts=("bfl.ai", "*.bfl.ai", "http://127.0.0.1:4100"),
        result_hosts=("*.bfl.ai",),
        invert_alpha=invert_alpha_here,
        keyring=keyring,
    )


def bfl_answering(answers: Mapping[str, MockResponse] | MockResponse) -> BflProvider:
    return bfl_on(MockHttp(answers).http)


def asking(endpoint: str = REQUEST.endpoint, **parameters: Any) -> Submission:
    request = replace(REQUEST, endpoint=endpoint, parameters={"n": 1, **parameters})
    return replace(SUBMISSION, request=request)
