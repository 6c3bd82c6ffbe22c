"""Partial images of a synchronous provider: seen while it works, gone afterwards, and never in the way."""

import asyncio
import base64
from dataclasses import replace
from typing import Any

import pytest
from temporalio.testing import ActivityEnvironment

from activities.reconcile import ReconcilePlan
from domain.errors import StorageUnavailable, SubmitAmbiguous
from domain.generation import GenerationRequest, Outcome, Status
from tests.support.eventually import eventually
from tests.support.requests import request
from tests.support.scripted import Call
from tests.support.time_limits import scaled
from tests.support.world import Job, World

PRICE = 4
FIRST, SECOND = b"the first partial image", b"the second partial image"
NOW = ReconcilePlan(stranded_seconds=3600, unrelayed_seconds=3600, unswept_seconds=0)


def asking() -> GenerationRequest:
    return replace(request(price_credits=PRICE), parameters={"n": 1, "partial_images": 2})


async def events_of(job: Job) -> list[dict[str, Any]]:
    rows = await job.world.books.sql(
        "SELECT data FROM events WHERE generation_id = :id AND type = 'image.partial' ORDER BY number",
        id=job.id,
    )
    return [row[0] for row in rows]


async def started(world: World, **call: Any) -> tuple[Job, Call]:
    """Start a generation whose partial images come, and wait until the log tells of them."""
    waiting = Call(partial_images=(FIRST, SECOND), **call)
    waiting.release.clear()
    job = await world.start(call=waiting, asked=asking())

    async def are_told() -> bool:
        return len(await events_of(job)) == 2

    await eventually(are_told, timeout_seconds=scaled(20))
    return job, waiting


async def test_they_are_stored_and_told_of_while_the_provider_works(world: World) -> None:
    job, call = await started(world)

    facts = {"index": 0, "width": 512, "height": 512, "content_type": "image/jpeg"}
    assert await events_of(job) == [
        {**facts, "partial_index": 0, "size_bytes": len(FIRST)},
        {**facts, "partial_index": 1, "size_bytes": len(SECOND)},
    ]
    folder = f"{job.tenant_id}/{job.id}"
    assert world.store.objects[f"{folder}/0-partial-0"] == FIRST
    assert world.store.objects[f"{folder}/0-partial-1"] == SECOND

    call.release.set()
    assert await job.outcome() == Outcome(job.id, Status.COMPLETED, None, PRICE, 1)
    assert [image.key for image in (await job.generation()).images] == [f"{folder}/0"]


async def test_their_bytes_are_in_no_event_and_not_in_temporal(world: World) -> None:
    job, call = await started(world)
    call.release.set()
    await job.outcome()

    log = str(await world.books.sql("SELECT data FROM events WHERE generation_id = :id", id=job.id))
    history = (await job.handle.fetch_history()).to_json()
    for content in (FIRST, SECOND):
        for word in (content.decode(), base64.b64encode(content).decode(), "0-partial"):
            assert word not in log
            assert word not in history
            assert base64.b64encode(word.encode()).decode() not in history


async def reconciled(world: World) -> dict[str, int]:
    done: dict[str, int] = await ActivityEnvironment().run(world.activities().reconcile.reconcile, NOW)
    return done


async def test_they_are_deleted_once_the_generation_has_ended(world: World) -> None:
    job, call = await started(world)

    await reconciled(world)
    assert len([key for key in world.store.objects if job.id in key]) == 2

    call.release.set()
    await job.outcome()
    assert (await reconciled(world))["partial_images_deleted"] == 2
    assert [key for key in world.store.objects if job.id in key] == [f"{job.tenant_id}/{job.id}/0"]
    assert await world.books.sql("SELECT 1 FROM partial_images WHERE generation_id = :id", id=job.id) == []


async def test_those_of_a_call_that_broke_are_deleted_too(world: World) -> None:
    job, call = await started(world, error=SubmitAmbiguous("the stream broke"))
    call.release.set()

    assert (await job.outcome()).status is Status.FAILED
    await reconciled(world)
    assert [key for key in world.store.objects if job.id in key] == []


async def test_one_that_cannot_be_stored_is_dropped(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    put = world.store.put_object

    async def refuse_partial_ones(key: str, *others: Any) -> None:
        if "partial" in key:
            raise StorageUnavailable("full")
        await put(key, *others)

    monkeypatch.setattr(world.store, "put_object", refuse_partial_ones)
    job = await world.start(call=Call(partial_images=(FIRST, SECOND)), asked=asking())

    assert await job.outcome() == Outcome(job.id, Status.COMPLETED, None, PRICE, 1)
    assert await events_of(job) == []


async def test_one_that_takes_long_holds_nothing_up(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    put, forever = world.store.put_object, asyncio.Event()

    async def hang_at_partial_ones(key: str, *others: Any) -> None:
        if "partial" in key:
            await forever.wait()
        await put(key, *others)

    monkeypatch.setattr(world.store, "put_object", hang_at_partial_ones)
    job = await world.start(call=Call(partial_images=(FIRST,)), asked=asking())

    assert await job.outcome() == Outcome(job.id, Status.COMPLETED, None, PRICE, 1)
    assert await events_of(job) == []
