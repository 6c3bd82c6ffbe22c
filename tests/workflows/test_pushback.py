"""A provider that takes nothing now: the attempt gives its slot back and waits, within its own limits."""

from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from activities.provider_slots import SlotGranter
from adapters.database.engine import Database
from devstack.servers.running import Servers
from domain.errors import ProviderThrottled, ProviderUnavailable, TransientError
from domain.generation import Outcome, Stage, Status
from domain.provider import AttemptRef, ProviderJob
from tests.conftest import namespaced_client
from tests.support.eventually import eventually
from tests.support.requests import QUICK_TIMING, request
from tests.support.scripted import Script, success
from tests.support.time_limits import scaled
from tests.support.world import Job, World, running_world

JOB = ProviderJob("job-1", {})
OTHER_MODEL = replace(request(), model="other", endpoint="other/model")


@pytest.fixture(scope="module")
async def world(servers: Servers, database: Database) -> AsyncIterator[World]:
    """Return a world that caches workflows, as several run at once here."""
    client = await namespaced_client(servers, "pushback")
    async with running_world(client, database, cached_workflows=100) as world:
        yield world


@pytest.fixture(autouse=True)
async def one_slot(world: World) -> AsyncIterator[None]:
    world.limits["fal"] = 1
    yield
    await world.end_all()
    world.limits.clear()
    world.account_wide.clear()
    await world.books.clear_slots()


def refusing(error: TransientError) -> Script:
    """Return a script of a provider that never takes the job."""
    return Script(submits=[error])


async def pushed_back(job: Job) -> Job:
    """Wait until the provider has pushed the job back."""

    async def is_pushed_back() -> bool:
        position = await job.world.slots.queue_position(job.id)
        return position is not None and position.pushback_code is not None

    await eventually(is_pushed_back)
    return job


async def several_pushed_back(world: World, seconds: float = 3600) -> list[Job]:
    """Have as many generations pushed back as it takes to close the model."""
    error = ProviderThrottled("429", retry_after_seconds=seconds)
    return [await pushed_back(await world.start(refusing(error))) for _ in range(3)]


async def cancel_all(jobs: list[Job]) -> None:
    for job in jobs:
        await job.request_cancel()
        await job.outcome()


@pytest.mark.parametrize("error", [ProviderUnavailable, ProviderThrottled])
async def test_the_slot_goes_on_and_the_job_ends_when_its_own_time_is_over(
    world: World, error: type[TransientError]
) -> None:
    timing = replace(QUICK_TIMING, queue_timeout_seconds=scaled(4))
    script = refusing(error("come back later", retry_after_seconds=1))
    first = await pushed_back(await world.start(script, timing=timing))
    second = await world.start()

    await second.reaches(Stage.GENERATING)
    waiting = await first.generation()
    assert (waiting.status, waiting.stage) == (Status.QUEUED, Stage.THROTTLED)

    assert await first.outcome() == Outcome(first.id, Status.FAILED, error.code)
    await first.keep_history(f"pushed_back_until_the_end_with_{error.code}")
    assert (await first.balance()).held == 0
    await cancel_all([second])


async def test_a_job_is_taken_after_its_pause(world: World) -> None:
    error = ProviderThrottled("429", retry_after_seconds=0.2)
    job = await world.start(Script(submits=[error, error, JOB]))
    await job.reaches(Stage.GENERATING)
    await job.webhook(success("one"))

    assert (await job.outcome()).status is Status.COMPLETED
    await job.keep_history("completed_after_pushback")
    assert await world.books.sql("SELECT 1 FROM provider_closures") == []


async def test_the_time_in_the_queue_is_over_all_attempts_and_waits(world: World) -> None:
    """Wait for a slot first, and be pushed back then: the second wait ends when the first would have."""
    first = await world.start()
    await first.reaches(Stage.GENERATING)
    timing = replace(QUICK_TIMING, queue_timeout_seconds=3)
    error = ProviderUnavailable("503", retry_after_seconds=60)
    second = await world.start(refusing(error), timing=timing)
    await eventually(second.is_queued)
    await cancel_all([first])

    assert await second.outcome() == Outcome(second.id, Status.FAILED, error.code)


async def test_a_cancel_ends_the_pause(world: World) -> None:
    error = ProviderThrottled("429", retry_after_seconds=3600)
    job = await pushed_back(await world.start(refusing(error)))
    await job.request_cancel()
    assert await job.outcome() == Outcome(job.id, Status.CANCELED)
    await job.keep_history("canceled_after_pushback")


async def test_a_result_ends_the_pause(world: World) -> None:
    """Report a result for a job that the provider had said not to have taken."""
    error = ProviderUnavailable("503", retry_after_seconds=3600)
    job = await pushed_back(await world.start(refusing(error)))
    await job.webhook(success("one"))
    assert (await job.outcome()).status is Status.COMPLETED
    assert job.script.submitted == []


async def test_one_request_closes_nothing(world: World) -> None:
    poison = refusing(ProviderThrottled("429", retry_after_seconds=0.05))
    held_up = await pushed_back(await world.start(poison))
    for _ in range(4):
        job = await world.start()
        await job.reaches(Stage.GENERATING)
        await job.webhook(success("one"))
        assert (await job.outcome()).status is Status.COMPLETED
    await cancel_all([held_up])


async def test_several_requests_close_the_model_and_no_other(world: World) -> None:
    jobs = await several_pushed_back(world)
    behind, other = await world.start(), await world.start(asked=OTHER_MODEL)

    await other.reaches(Stage.GENERATING)
    await other.webhook(success("one"))
    await other.outcome()

    assert await behind.is_queued()
    assert not behind.script.begun.is_set()
    await cancel_all([*jobs, behind])


async def test_where_the_limit_is_the_accounts_every_model_is_closed(world: World) -> None:
    world.account_wide.add("fal")
    jobs = await several_pushed_back(world)
    other = await world.start(asked=OTHER_MODEL)
    await eventually(other.is_queued)
    assert not other.script.begun.is_set()
    await cancel_all([*jobs, other])


async def test_one_probe_opens_a_closed_provider(world: World) -> None:
    world.limits["fal"] = 3
    jobs = await several_pushed_back(world)
    waiting = []
    for _ in range(2):
        script = Script()
        script.submit_release.clear()
        waiting.append(await world.start(script))
        await eventually(waiting[-1].is_queued)
    probe, behind = waiting

    # The pause ends, and all may ask again; but one may try, a job that was never refused.
    await world.books.sql("UPDATE provider_closures SET closed_until = now()")
    await world.books.sql("UPDATE provider_slots SET not_before = NULL")
    assert await SlotGranter(world.slots, world.workflows).grant_free_slots("fal") == 1
    # On a busy machine what follows may take longer than a probe has.
    await world.books.sql("UPDATE provider_closures SET probe_at = probe_at + interval '1 hour'")
    await eventually(probe.script.begun.is_set, timeout_seconds=20)
    assert not behind.script.begun.is_set()
    assert [len(job.script.submitted) for job in jobs] == [0, 0, 0]
    world.limits["fal"] = 5
    for job in jobs:
        job.script.submits = [JOB]
    for job in (probe, behind):
        job.script.submit_release.set()

    for job in (*jobs, probe, behind):
        await job.reaches(Stage.GENERATING)
    await cancel_all([*jobs, probe, behind])


async def test_an_operator_opens_a_closed_provider(world: World) -> None:
    jobs = await several_pushed_back(world)
    for job in jobs:
        job.script.submits = [JOB]
    behind = await world.start()
    await eventually(behind.is_queued)

    world.limits["fal"] = 4
    assert await SlotGranter(world.slots, world.workflows).open("fal") == 4

    for job in (*jobs, behind):
        await job.reaches(Stage.GENERATING)
    await cancel_all([*jobs, behind])


def fallback_script() -> Script:
    return Script(submits=[ProviderJob("job-2", {})], polls=[success("from the other")])


QUICK_POLL = replace(QUICK_TIMING, first_poll_seconds=0.2)


async def test_with_a_fallback_a_long_pause_is_not_waited_for(world: World) -> None:
    script, other = refusing(ProviderThrottled("429", retry_after_seconds=3600)), fallback_script()
    job = await world.start(script, fallback=other, timing=QUICK_POLL)

    assert (await job.outcome()).status is Status.COMPLETED
    await job.keep_history("completed_by_fallback_after_pushback")
    assert len(other.submitted) == 1


async def test_with_a_fallback_a_short_pause_is_waited_for(world: World) -> None:
    error = ProviderThrottled("429", retry_after_seconds=0.2)
    script, other = Script(submits=[error, JOB], polls=[success("one")]), fallback_script()
    job = await world.start(script, fallback=other, timing=QUICK_POLL)

    assert (await job.outcome()).status is Status.COMPLETED
    assert other.submitted == []


async def test_a_job_that_comes_to_a_closed_provider_goes_to_its_fallback(world: World) -> None:
    jobs, other = await several_pushed_back(world), fallback_script()
    job = await world.start(fallback=other, timing=QUICK_POLL)

    assert (await job.outcome()).status is Status.COMPLETED
    assert len(other.submitted) == 1
    assert not job.script.begun.is_set()
    await cancel_all(jobs)


async def test_a_waiting_job_goes_to_its_fallback_when_its_provider_closes(world: World) -> None:
    error = ProviderThrottled("429", retry_after_seconds=3600)
    scripts = [refusing(error) for _ in range(3)]
    scripts[0].submit_release.clear()
    jobs = [await world.start(scripts[0])]
    await scripts[0].begun.wait()
    jobs += [await world.start(script) for script in scripts[1:]]
    other = fallback_script()
    waiting = await world.start(fallback=other, timing=QUICK_POLL)
    await eventually(waiting.is_queued)

    scripts[0].submit_release.set()

    assert (await waiting.outcome()).status is Status.COMPLETED
    await waiting.keep_history("completed_by_fallback_of_a_closed_provider")
    assert not waiting.script.begun.is_set()
    await cancel_all(jobs)


async def test_another_jobs_429_sends_nobody_to_a_fallback(world: World) -> None:
    held_up = await pushed_back(
        await world.start(refusing(ProviderThrottled("429", retry_after_seconds=3600)))
    )
    other = fallback_script()
    job = await world.start(Script(polls=[success("one")]), fallback=other, timing=QUICK_POLL)

    assert (await job.outcome()).status is Status.COMPLETED
    assert other.submitted == []
    await cancel_all([held_up])


async def test_a_position_says_why_and_how_long(world: World) -> None:
    job = await pushed_back(await world.start(refusing(ProviderThrottled("429", retry_after_seconds=3600))))
    position = await world.slots.queue_position(job.id)
    assert position is not None
    assert (position.pushback_code, position.is_exact) == ("provider_throttled", True)
    assert position.pause_seconds is not None
    assert 3000 < position.pause_seconds <= 3600
    assert AttemptRef(job.id) not in await world.slots.grant_free("fal")
    await cancel_all([job])
