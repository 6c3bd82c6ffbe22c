"""Why a generation went to its fallback, or did not, as its record tells it."""

from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from domain.errors import (
    ContentRejected,
    ProviderFailed,
    ProviderRefused,
    ProviderThrottled,
    SubmitAmbiguous,
)
from domain.generation import Status, TimingPolicy
from domain.provider import AttemptRef, JobStatus, ProviderJob, ProviderResult
from domain.routing import considered_providers
from tests.support.eventually import eventually
from tests.support.requests import QUICK_TIMING
from tests.support.scripted import Script, success
from tests.support.world import Job, World

FIRST, SECOND = ("flux-schnell", "fal"), ("other", "replicate")


@pytest.fixture(autouse=True)
async def slots(world: World) -> AsyncIterator[None]:
    yield
    await world.end_all()
    world.limits.clear()
    await world.books.clear_slots()


def other() -> Script:
    return Script(submits=[ProviderJob("job-2", {})], polls=[success("from the other")])


def quick() -> TimingPolicy:
    return replace(QUICK_TIMING, first_poll_seconds=0.2)


async def routes(job: Job) -> list[tuple[tuple[str, str], bool, str]]:
    found = considered_providers(await job.generation())
    return [((each.model, each.provider), each.taken, each.reason) for each in found]


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        (Script(submits=[ProviderRefused("the account is locked")]), "provider_refused"),
        (Script(submits=[ProviderThrottled("429", retry_after_seconds=3600)]), "provider_throttled"),
        (
            Script(polls=[ProviderResult(JobStatus.FAILED, code=ProviderFailed.code, does_not_charge=True)]),
            "provider_failed",
        ),
    ],
    ids=["refused", "throttled", "failed free of charge"],
)
@pytest.mark.parametrize("limit", [None, 5], ids=["no slots", "slots"])
async def test_a_fallback_that_was_taken_names_why_the_first_was_left(
    world: World, script: Script, reason: str, limit: int | None
) -> None:
    if limit is not None:
        world.limits |= {"fal": limit, "replicate": limit}
    copy = Script(submits=list(script.submits), polls=list(script.polls))
    job = await world.start(copy, fallback=other(), timing=quick())
    assert (await job.outcome()).status is Status.COMPLETED
    assert await routes(job) == [(FIRST, False, reason), (SECOND, True, "taken")]


async def test_a_queue_that_is_too_long_is_left_without_an_attempt(world: World) -> None:
    """Nothing but the note tells why: the first provider was never asked."""
    world.limits |= {"fal": 1}
    holder = await world.start(Script(), timing=quick())
    await holder.webhook(ProviderResult(JobStatus.RUNNING))
    timing = replace(quick(), queue_timeout_seconds=0.5)
    job = await world.start(Script(), fallback=other(), timing=timing)
    assert (await job.outcome()).status is Status.COMPLETED
    assert list(await job.attempts()) == [2]
    assert await routes(job) == [(FIRST, False, "queue_timed_out"), (SECOND, True, "taken")]


@pytest.mark.parametrize(
    ("script", "taken", "first", "second"),
    [
        (Script(submits=[ContentRejected("no")]), False, "content_rejected", "content_rejected"),
        (Script(submits=[SubmitAmbiguous("lost")]), True, "may_be_charged", "may_be_charged"),
        (
            Script(polls=[ProviderResult(JobStatus.FAILED, code=ProviderFailed.code)]),
            True,
            "taken",
            "may_be_charged",
        ),
        (Script(polls=[success("one")]), True, "taken", "not_needed"),
    ],
    ids=["content", "ambiguous", "charged failure", "completed"],
)
async def test_a_fallback_that_was_not_taken_names_why(
    world: World, script: Script, taken: bool, first: str, second: str
) -> None:
    timing = replace(quick(), deadline_seconds=1.0)
    job = await world.start(script, fallback=other(), timing=timing)
    await job.outcome()
    assert await routes(job) == [(FIRST, taken, first), (SECOND, False, second)]


async def test_without_a_fallback_there_is_nothing_else_to_tell(world: World) -> None:
    job = await world.start(Script(submits=[ProviderRefused("no")]), timing=quick())
    assert (await job.outcome()).status is Status.FAILED
    assert await routes(job) == [(FIRST, False, "provider_refused")]


async def test_a_reset_does_not_change_why_the_first_was_left(world: World) -> None:
    """Ask for the second slot again with another reason, as a run that was reset does."""
    script = Script(submits=[ProviderJob("job-2", {})])
    job = await world.start(Script(submits=[ProviderRefused("no")]), fallback=script, timing=quick())

    async def is_at_second() -> bool:
        attempts = await job.attempts()
        return 2 in attempts and attempts[2].state == "accepted"

    await eventually(is_at_second)
    await world.slots.request(AttemptRef(job.id, 2), left_because="provider_unavailable")
    assert await routes(job) == [(FIRST, False, "provider_refused"), (SECOND, True, "taken")]
