"""Jobs at a simulated fal: submitted, and polled until their end."""

from dataclasses import replace
from typing import Any

from adapters.providers.fal.adapter import FalProvider
from adapters.transport.http import HttpClient
from domain.provider import JobStatus, ProviderJob, ProviderResult, Submission
from tests.simulator.process import SimulatorProcess
from tests.support.eventually import eventually
from tests.unit.adapters.providers.fal.requests import REQUEST, SUBMISSION


def fal_with(http: HttpClient, simulator: SimulatorProcess, key: str) -> FalProvider:
    return FalProvider(http, key=key, queue_url=simulator.url, result_hosts=(simulator.url,))


def asking(prompt: str, webhook_url: str = "http://127.0.0.1:9/", **parameters: Any) -> Submission:
    wanted = {"n": 1, "size": "64x48", "output_format": "png", **parameters}
    request = replace(REQUEST, prompt=prompt, parameters=wanted, n=wanted["n"])
    return replace(SUBMISSION, request=request, webhook_url=webhook_url)


async def ended(fal: FalProvider, job: ProviderJob) -> ProviderResult:
    """Poll until the job has ended; return its result."""

    async def has_ended() -> ProviderResult | None:
        result = await fal.poll_job(REQUEST, job)
        return None if result.status is JobStatus.RUNNING else result

    return await eventually(has_ended)


async def result_of(fal: FalProvider, prompt: str, **parameters: Any) -> ProviderResult:
    return await ended(fal, await fal.submit(asking(prompt, **parameters)))
