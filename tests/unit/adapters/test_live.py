"""Asking workflows about themselves: few at once, one for each tenant, none for a while after silence."""

import asyncio
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import pytest

from api.services.workflow_status import WorkflowStatus
from domain.errors import TemporalUnavailable
from tests.support.eventually import eventually
from tests.unit.adapters.fal_signing import Clock

VIEW = {"stage": "generating"}


class AskedRuns:
    """The one query of the WorkflowClient port that WorkflowStatus makes; it waits while `gate` is closed."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.within: set[timedelta] = set()
        self.gate = asyncio.Event()
        self.gate.set()
        self.answer: Mapping[str, Any] | Exception | None = VIEW

    async def live(self, generation_id: str, *, within: timedelta) -> Mapping[str, Any] | None:
        self.asked.append(generation_id)
        self.within.add(within)
        await self.gate.wait()
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


@pytest.fixture
def runs() -> AskedRuns:
    return AskedRuns()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def views(runs: AskedRuns, clock: Clock) -> WorkflowStatus:
    return WorkflowStatus(runs, clock=clock)  # type: ignore[arg-type]  # of the port, this is all that is used


async def test_a_workflow_is_asked_within_a_quarter_of_a_second(
    views: WorkflowStatus, runs: AskedRuns
) -> None:
    assert await views.query("ten_1", "gen_1") == VIEW
    assert (runs.asked, runs.within) == (["gen_1"], {timedelta(milliseconds=250)})


async def test_a_tenant_asks_one_at_a_time(views: WorkflowStatus, runs: AskedRuns) -> None:
    runs.gate.clear()
    first = asyncio.create_task(views.query("ten_1", "gen_1"))
    await eventually(lambda: runs.asked == ["gen_1"])
    second, other = await views.query("ten_1", "gen_2"), asyncio.create_task(views.query("ten_2", "gen_3"))
    await eventually(lambda: runs.asked == ["gen_1", "gen_3"])
    runs.gate.set()

    assert (await first, second, await other) == (VIEW, None, VIEW)
    assert await views.query("ten_1", "gen_2") == VIEW


async def test_four_are_asked_at_once_and_a_fifth_is_not(views: WorkflowStatus, runs: AskedRuns) -> None:
    runs.gate.clear()
    four = [asyncio.create_task(views.query(f"ten_{number}", f"gen_{number}")) for number in range(4)]
    await eventually(lambda: len(runs.asked) == 4)
    fifth = await views.query("ten_5", "gen_5")
    runs.gate.set()

    assert (await asyncio.gather(*four), fifth) == ([VIEW] * 4, None)
    assert await views.query("ten_5", "gen_5") == VIEW


async def test_after_silence_nobody_is_asked_for_five_seconds(
    views: WorkflowStatus, runs: AskedRuns, clock: Clock
) -> None:
    runs.answer = None
    assert await views.query("ten_1", "gen_1") is None
    runs.answer = VIEW
    clock.seconds += 4.9
    resting = await views.query("ten_2", "gen_2")
    clock.seconds += 0.2

    assert (resting, await views.query("ten_2", "gen_2")) == (None, VIEW)
    assert runs.asked == ["gen_1", "gen_2"]


@pytest.mark.parametrize("end", ["error", "cancel"])
async def test_a_question_that_broke_off_blocks_nobody(
    views: WorkflowStatus, runs: AskedRuns, end: str
) -> None:
    runs.gate.clear()
    runs.answer = TemporalUnavailable()
    asking = asyncio.create_task(views.query("ten_1", "gen_1"))
    await eventually(lambda: runs.asked == ["gen_1"])
    if end == "cancel":
        asking.cancel()
    runs.gate.set()
    await asyncio.wait([asking], timeout=1)
    assert asking.cancelled() or isinstance(asking.exception(), TemporalUnavailable)
    runs.answer = VIEW

    assert await views.query("ten_1", "gen_1") == VIEW
