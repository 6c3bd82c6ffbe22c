"""What polls find on the way goes to the database and to the log, and not into Temporal."""

import asyncio
from dataclasses import replace

from adapters.database.events import PostgresEventLog
from domain.errors import ProviderThrottled
from domain.events import EventType
from domain.generation import Status
from domain.progress import ProviderProgress
from domain.provider import JobStatus, ProviderResult
from tests.support.eventually import eventually
from tests.support.requests import QUICK_TIMING
from tests.support.scripted import Script, success
from tests.support.world import Job, World

SOON = replace(QUICK_TIMING, first_poll_seconds=0.2, poll_factor=1.0, longest_poll_seconds=0.2)
WORD = "unrepeatable"
QUEUED = ProviderResult(JobStatus.RUNNING, progress=ProviderProgress(is_queued=True, queue_position=3))
HALF = ProviderResult(JobStatus.RUNNING, progress=ProviderProgress(percent=50, logs=(f"Prompt: {WORD}",)))
GONE = ProviderResult(JobStatus.FAILED, "provider_failed", provider_message=WORD, is_tentative=True)


async def told(job: Job) -> list[dict[str, object]]:
    log = PostgresEventLog(job.world.database)
    events = await log.list_of_generation(job.tenant_id, job.id, after=0, limit=1000)
    return [dict(event.data) for event in events if event.type is EventType.ATTEMPT_POLLED]


async def test_each_poll_that_brings_something_new_is_told(world: World) -> None:
    script = Script(polls=[ProviderThrottled(), QUEUED, HALF, GONE, success("one")])
    job = await world.start(script, timing=SOON)
    outcome = await job.outcome()
    history = (await job.handle.fetch_history()).to_json()

    assert outcome.status is Status.COMPLETED
    assert await told(job) == [
        {"ordinal": 1, "number": 1, "status": "unavailable", "code": "provider_throttled"},
        {"ordinal": 1, "number": 2, "status": "queued", "queue_position": 3},
        {"ordinal": 1, "number": 3, "status": "running", "percent": 50},
        {"ordinal": 1, "number": 4, "status": "running", "code": "provider_failed"},
    ]
    assert not any(word in history for word in (WORD, "queue_position", "percent"))
    progress = (await job.attempts())[1].progress
    assert progress is not None
    assert (progress["polls"], WORD in str(progress)) == (4, False)


async def test_a_poll_that_is_not_recorded_counts_all_the_same(world: World) -> None:
    busy = ProviderResult(JobStatus.RUNNING, retry_after_seconds=100)
    submitted = asyncio.Event()
    job = await world.start(Script(polls=[HALF, busy], submit_release=submitted), timing=SOON)
    world.attempts.unpolled.add(job.id)
    submitted.set()

    await eventually(lambda: job.script.polled == 2)
    # Several of its pauses: a poll whose Retry-After did not count would be followed by others by now.
    await asyncio.sleep(1)
    await job.webhook(success("one"))
    await job.outcome()

    assert job.script.polled == 2
    assert await told(job) == []
