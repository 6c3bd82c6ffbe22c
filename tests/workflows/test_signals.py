"""Webhooks only accelerate, in whatever form they come."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from domain.credits import Balance
from domain.errors import ContentRejected
from domain.generation import Stage, Status
from domain.provider import JobStatus, ProviderResult
from tests.support.eventually import eventually
from tests.support.requests import QUICK_TIMING
from tests.support.scripted import RUNNING, Script, success
from tests.support.time_limits import scaled
from tests.support.world import Job, World

CHARGED = Balance(available=6, held=0, spent=4)
SOON = replace(QUICK_TIMING, first_poll_seconds=0.5, longest_poll_seconds=0.5)
MODERATED = ProviderResult(JobStatus.FAILED, code=ContentRejected.code)


async def dropped(job: Job) -> None:
    """No webhook at all."""


async def once(job: Job) -> None:
    await job.reaches(Stage.GENERATING)
    await job.webhook(success("one"))


async def thrice(job: Job) -> None:
    await asyncio.gather(*(job.webhook(success("one")) for _ in range(3)))


async def early(job: Job) -> None:
    await job.webhook(success("one"))


async def contradicting_itself_later(job: Job) -> None:
    await job.webhook(success("one"))
    await job.webhook(MODERATED)


async def of_another_attempt(job: Job) -> None:
    await job.webhook(MODERATED, ordinal=2)


@pytest.mark.parametrize(
    "deliver", [dropped, once, thrice, early, contradicting_itself_later, of_another_attempt]
)
async def test_ledger_images_and_status_do_not_depend_on_webhooks(
    world: World, deliver: Callable[[Job], Awaitable[None]]
) -> None:
    job = await world.start(Script(polls=[RUNNING, success("one")]), timing=SOON)
    await deliver(job)
    outcome = await job.outcome()

    assert (outcome.status, outcome.charged_credits, outcome.images) == (Status.COMPLETED, 4, 1)
    assert await job.balance() == CHARGED
    assert world.store.objects[f"{job.tenant_id}/{job.id}/0"] == b"one"


async def test_a_webhook_before_the_submits_response_waits_for_it(world: World) -> None:
    job = await world.start(Script(submit_release=asyncio.Event()))
    await asyncio.wait_for(job.script.begun.wait(), scaled(20))
    await job.webhook(success("one"))
    job.script.submit_release.set()
    outcome = await job.outcome()
    await job.keep_history("completed_by_early_webhook")

    assert outcome.status is Status.COMPLETED
    assert await job.balance() == CHARGED


WRONG_SHAPES: list[list[Any]] = [
    [],
    [None],
    ["a string"],
    [{}],
    [{"inbox_id": "1", "ordinal": 1, "verdict": "succeeded"}],
    [{"inbox_id": 1, "ordinal": 1, "verdict": ["succeeded"]}],
    [{"inbox_id": 1, "ordinal": 1, "verdict": "succeeded"}, "and more"],
    [[1, 2, 3]],
    [{"inbox_id": 1, "ordinal": 99, "verdict": "failed"}],
]


async def test_signals_of_wrong_shape_are_ignored(world: World) -> None:
    job = await world.start()
    await job.reaches(Stage.GENERATING)
    for arguments in WRONG_SHAPES:
        await job.handle.signal("report_result", args=arguments)
    still = await job.reaches(Stage.GENERATING)
    await job.webhook(success("one"))

    assert still.polls == 0
    assert (await job.outcome()).status is Status.COMPLETED


async def test_an_unknown_verdict_means_ask_now(world: World) -> None:
    job = await world.start(Script(polls=[success("one")]))  # the first poll would be in 30 s
    await job.reaches(Stage.GENERATING)
    await job.webhook(ProviderResult(JobStatus.CHECK))
    outcome = await job.outcome()
    await job.keep_history("completed_by_poll_on_hint")

    assert outcome.status is Status.COMPLETED
    assert job.script.polled == 1


async def test_a_verdict_with_a_made_up_code_is_an_internal_error(world: World) -> None:
    job = await world.start()
    await job.reaches(Stage.GENERATING)
    forged = {"inbox_id": 1, "ordinal": 1, "verdict": "failed", "code": "made up"}
    await job.handle.signal("report_result", forged)

    assert (await job.outcome()).code == "internal_error"


async def test_a_forged_success_with_nothing_behind_it_is_not_paid_for(world: World) -> None:
    job = await world.start(Script(polls=[MODERATED]))
    await job.reaches(Stage.GENERATING)
    forged = {"inbox_id": 999, "ordinal": 1, "verdict": "succeeded"}
    await job.handle.signal("report_result", forged)

    assert (await job.outcome()).status is Status.FAILED
    assert await job.balance() == Balance(available=10, held=0, spent=0)


async def test_polls_back_off_with_jitter_and_honor_retry_after(world: World) -> None:
    timing = replace(QUICK_TIMING, first_poll_seconds=0.2, poll_factor=2, longest_poll_seconds=100)
    busy = ProviderResult(JobStatus.RUNNING, retry_after_seconds=20)
    job = await world.start(Script(polls=[RUNNING, RUNNING, busy]), timing=timing)

    async def long_pause_seconds() -> float | None:
        next_poll_at = (await job.progress()).next_poll_at
        assert next_poll_at is None or job.script.polled <= 3
        pause = datetime.fromisoformat(next_poll_at or "0001-01-01T00:00Z") - datetime.now(UTC)
        return pause.total_seconds() if pause.total_seconds() > 5 else None

    pause_seconds = await eventually(long_pause_seconds)
    await job.webhook(success("one"))
    await job.outcome()

    assert 15 < pause_seconds <= 22  # 20 seconds and up to a tenth of jitter, less what has passed
