"""Synchronous providers: charged once they respond, whatever happens afterwards."""

import asyncio
import errno
import threading
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from temporalio.testing import ActivityEnvironment

from activities import submit
from adapters.database.engine import Database
from devstack.servers.running import Servers
from domain.charging import ChargePolicies, ChargePolicy
from domain.errors import ContentRejected, ProviderUnavailable, SubmitAmbiguous
from domain.generation import Outcome, Stage, Status, Undelivered
from domain.moderation import ModeratedAt
from domain.provider import AttemptRef, JobStatus, PollResult, ProviderResult, SubmitRequest, SubmitState
from tests.conftest import namespaced_client
from tests.support.eventually import eventually
from tests.support.requests import QUICK_TIMING, new_id, request
from tests.support.scripted import Call, success
from tests.support.time_limits import scaled
from tests.support.world import World, running_world

PRICE = 4


async def test_the_response_is_stored_and_charged(world: World) -> None:
    call = Call(images=(b"first", b"second"))
    job = await world.start(call=call, n=2)

    outcome = await job.outcome()

    await job.keep_history("completed_by_response")
    assert outcome == Outcome(job.id, Status.COMPLETED, None, PRICE, 2)
    objects = {key: content for key, content in world.store.objects.items() if job.id in key}
    assert list(objects.values()) == [b"first", b"second"]
    assert (await job.attempts())[1].provider_job_id == "req-1"


async def test_what_is_missing_is_not_paid_for(world: World) -> None:
    result = ProviderResult(JobStatus.SUCCEEDED, undelivered=(Undelivered(0, "content_rejected"),))
    job = await world.start(call=Call(result, (b"second",)), n=2)

    outcome = await job.outcome()

    assert outcome == Outcome(job.id, Status.COMPLETED, None, PRICE // 2, 1)
    assert [image.index for image in (await job.generation()).images] == [1]
    assert (await job.generation()).undelivered == (Undelivered(0, "content_rejected"),)
    assert ((await job.balance()).held, (await job.balance()).spent) == (0, PRICE // 2)


async def test_moderation_is_refunded(world: World) -> None:
    job = await world.start(call=Call(error=ContentRejected("no", at=ModeratedAt.INPUT)))
    assert await job.outcome() == Outcome(job.id, Status.FAILED, "content_rejected")
    assert await job.error_stage() is ModeratedAt.INPUT
    assert (await job.balance()).held == 0


async def test_a_refusal_in_the_response_is_refunded(world: World) -> None:
    result = ProviderResult(JobStatus.FAILED, "content_rejected", moderated_at=ModeratedAt.OUTPUT)
    job = await world.start(call=Call(result, ()))
    assert await job.outcome() == Outcome(job.id, Status.FAILED, "content_rejected")
    assert await job.error_stage() is ModeratedAt.OUTPUT


async def test_where_the_model_says_so_a_refusal_is_charged(world: World) -> None:
    result = ProviderResult(JobStatus.FAILED, "content_rejected", moderated_at=ModeratedAt.OUTPUT)
    asked = request(price_credits=PRICE, charging=ChargePolicies(moderation=ChargePolicy.CHARGE))
    job = await world.start(call=Call(result, ()), asked=asked)
    assert await job.outcome() == Outcome(job.id, Status.FAILED, "content_rejected", PRICE)
    assert ((await job.balance()).held, (await job.balance()).spent) == (0, PRICE)


async def test_a_missing_response_is_unknown_and_never_requested_again(world: World) -> None:
    call = Call(error=SubmitAmbiguous("read timeout"))
    timing = replace(QUICK_TIMING, first_poll_seconds=0.2, deadline_seconds=1)
    job = await world.start(call=call, timing=timing)

    outcome = await job.outcome()

    await job.keep_history("response_lost")
    assert outcome == Outcome(job.id, Status.FAILED, "submit_unknown")
    assert call.calls == 1
    assert (await job.generation()).needs_attention == "submit_unknown"
    assert (await job.balance()).held == 0


async def test_what_was_provably_not_taken_is_asked_again(world: World) -> None:
    call = Call(error=ProviderUnavailable("connection refused", retry_after_seconds=0.1))
    job = await world.start(call=call)
    await eventually(lambda: call.calls >= 2)
    call.error = None
    assert (await job.outcome()).status is Status.COMPLETED


async def test_a_call_without_room_for_its_response_is_not_begun(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    refusals = iter([OSError(errno.ENOSPC, "full")])

    def folder(prefix: str) -> TemporaryDirectory[str]:
        for error in refusals:
            raise error
        return TemporaryDirectory(prefix=prefix)

    monkeypatch.setattr(submit, "TemporaryDirectory", folder)
    call = Call()
    job = await world.start(call=call)

    assert (await job.outcome()).status is Status.COMPLETED
    assert next(refusals, None) is None
    assert call.calls == 1


async def test_a_cancel_during_the_call_waits_for_it_and_stores_nothing(world: World) -> None:
    """Let the call end: its response has the cost."""
    call = Call()
    call.release.clear()
    job = await world.start(call=call)
    await call.begun.wait()

    await job.request_cancel()
    call.release.set()

    assert (await job.outcome()).status is Status.CANCELED
    await job.keep_history("canceled_during_a_call")
    assert call.calls == 1
    assert (await job.balance()).held == 0
    assert (await job.attempts())[1].result is not None
    assert await job.expects_objects()  # what the reconciler sweeps by


async def test_a_response_that_cannot_be_read_at_once_is_kept(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    read_bytes, failures = Path.read_bytes, [OSError(errno.EMFILE, "too many open files")]

    def fail_once(path: Path) -> bytes:
        if threading.current_thread() is not threading.main_thread() and failures:
            raise failures.pop()
        return read_bytes(path)

    call = Call(images=(b"first",))
    call.release.clear()
    job = await world.start(call=call)
    await call.begun.wait()
    world.store.is_away = True
    monkeypatch.setattr(Path, "read_bytes", fail_once)
    call.release.set()
    await eventually(lambda: not failures)
    await job.reaches(Stage.STORING)
    world.store.is_away = False

    assert await job.outcome() == Outcome(job.id, Status.COMPLETED, None, PRICE, 1)
    assert call.calls == 1


async def test_while_the_store_is_away_the_response_is_kept(world: World) -> None:
    call = Call(images=(b"first", b"second"))
    call.release.clear()
    job = await world.start(call=call, n=2)
    await call.begun.wait()
    world.store.is_away = True
    call.release.set()
    await job.reaches(Stage.STORING)
    kept = await world.books.sql("SELECT content FROM unstored_images WHERE generation_id = :id", id=job.id)
    world.store.is_away = False

    assert await job.outcome() == Outcome(job.id, Status.COMPLETED, None, PRICE, 2)
    await job.keep_history("completed_after_the_store_was_away")
    assert [bytes(content) for (content,) in kept] == [b"first", b"second"]
    assert [world.store.objects[f"{job.tenant_id}/{job.id}/{index}"] for index in (0, 1)] == [
        b"first",
        b"second",
    ]
    assert await world.books.sql("SELECT 1 FROM unstored_images WHERE generation_id = :id", id=job.id) == []
    assert call.calls == 1


@pytest.mark.parametrize("is_refused", [True, False])
async def test_our_own_check_comes_before_the_hold(world: World, *, is_refused: bool) -> None:
    if is_refused:
        world.check.words.add("a secret fox")
    job = await world.start(call=Call(), checks_input=True)

    outcome = await job.outcome()

    world.check.words.clear()
    await job.keep_history(f"checked_{'and_refused' if is_refused else 'and_completed'}")
    if is_refused:
        assert outcome == Outcome(job.id, Status.FAILED, "content_rejected")
        assert await job.error_stage() is ModeratedAt.INPUT
        assert await job.transfers() == []
    else:
        assert outcome.status is Status.COMPLETED


async def test_a_call_finishes_after_temporal_timed_the_activity_out(world: World) -> None:
    """Finish a charged call although its heartbeats are lost."""
    call = Call()
    call.release.clear()
    asked = replace(request(new_id("prompt")), provider="openai")
    attempt = AttemptRef(await world.books.add(await world.books.tenant(10), asked))
    world.synchronous.calls[asked.prompt] = call
    await world.ledger.reserve(attempt.generation_id)
    wanted, environment = SubmitRequest(attempt.generation_id), ActivityEnvironment()
    submitting = asyncio.create_task(environment.run(world.activities().provider.submit_job, wanted))
    await call.begun.wait()

    environment.cancel()
    await eventually(lambda: not submitting.done())
    call.release.set()

    assert (await submitting).state is SubmitState.ACCEPTED
    assert (await world.attempts.get_attempt(attempt)).result == PollResult(JobStatus.SUCCEEDED)


async def test_a_hundred_calls_block_no_other_and_no_thread(servers: Servers, database: Database) -> None:
    client = await namespaced_client(servers, new_id("calls"))
    gate, calls = asyncio.Event(), [Call() for _ in range(100)]
    for call in calls:
        call.release = gate
    async with running_world(client, database, cached_workflows=200) as world:
        first = await world.start()  # so that every pool of threads has begun
        await first.reaches(Stage.GENERATING)
        threads = threading.active_count()
        jobs = [await world.start(call=call) for call in calls]
        for call in calls:
            await asyncio.wait_for(call.begun.wait(), scaled(30))

        await first.webhook(success("one"))
        assert (await first.outcome()).status is Status.COMPLETED
        assert threading.active_count() < threads + len(calls) / 2

        gate.set()
        assert {(await job.outcome()).status for job in jobs} == {Status.COMPLETED}
