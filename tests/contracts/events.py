"""Attempts that may be begun, and events of a provider about them."""

from dataclasses import replace

from domain.credits import HoldState
from domain.errors import ProviderFailed
from domain.generation import GenerationRequest
from domain.provider import AttemptRef, JobStatus, ProviderCost, ProviderEvent, ProviderResult, ResultFile
from tests.contracts.subjects import Subject
from tests.support.requests import new_id, request

FILES = (ResultFile("https://v3.fal.media/files/a.png"),)


def with_fallback(
    wanted: GenerationRequest | None = None, *, provider: str = "replicate"
) -> GenerationRequest:
    """Return a request that another provider takes too, with its own endpoint."""
    wanted = wanted or request()
    elsewhere = replace(
        wanted,
        model="flux-schnell-elsewhere",
        provider=provider,
        endpoint="black-forest-labs/flux-schnell",
        parameters={"n": wanted.n, "aspect_ratio": "1:1"},
        price_credits=wanted.price_credits + 3,
    )
    return replace(wanted, fallback=elsewhere)


async def attempt_of_a_hold(subject: Subject, wanted: GenerationRequest | None = None) -> AttemptRef:
    """Return the first attempt, not begun, of a generation whose credits are held."""
    generation_id = await subject.books.add(await subject.books.tenant(10), wanted)
    assert (await subject.ledger.reserve(generation_id)).state is HoldState.HELD
    return AttemptRef(generation_id)


def succeeded(job_id: str, files: tuple[ResultFile, ...] = FILES) -> ProviderEvent:
    return event(ProviderResult(JobStatus.SUCCEEDED, files=files), job_id)


def failed(*, does_not_charge: bool, cost: ProviderCost | None = None) -> ProviderResult:
    return ProviderResult(JobStatus.FAILED, ProviderFailed.code, does_not_charge=does_not_charge, cost=cost)


def event(result: ProviderResult, job_id: str = "job-1") -> ProviderEvent:
    return ProviderEvent(new_id("event"), job_id, result)
