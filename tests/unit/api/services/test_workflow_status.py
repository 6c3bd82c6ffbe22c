"""Queries of workflows: few at once, one per tenant, and none for a while after a timeout."""

import asyncio
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import pytest

from api.services.workflow_status import WorkflowStatus
from domain.errors import TemporalUnavailable
from tests.support.eventually import eventually
from tests.unit.adapters.providers.fal.signing import Clock

VIEW = {"stage": "generating"}


class QueriedWorkflows:
    """The one query of the WorkflowClient port that WorkflowStatus makes; it waits for `release`."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.within: set[timedelta] = set()
        self.release = asyncio.Event()
        self.release.set()
        self.answer: Mapping[str, Any] | Exception | None = VIEW

    async def query_status(self, generation_id: str, *, within: timedelta) -> Mapping[str, Any] | None:
        self.asked.append(generation_id)
        self.within.add(within)
        await self.release.wait()
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


@pytest.fixture
def workflows() -> QueriedWorkflows:
    return QueriedWorkflows()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def status(workflows: QueriedWorkflows, clock: Clock) -> WorkflowStatus:
    return WorkflowStatus(workflows, clock=clock)  # type: ignore[arg-type]  # of the port, this is all that is used


async def test_a_workflow_is_asked_within_a_quarter_of_a_second(
    status: WorkflowStatus, workflows: QueriedWorkflows
) -> None:
    assert await status.query("ten_1", "gen_1") == VIEW
    assert (workflows.asked, workflows.within) == (["gen_1"], {timedelta(milliseconds=250)})


async def test_a_tenant_asks_one_at_a_time(status: WorkflowStatus, workflows: QueriedWorkflows) -> None:
    workflows.release.clear()
    first = asyncio.create_task(status.query("ten_1", "gen_1"))
    await eventually(lambda: workflows.asked == ["gen_1"])
    second, other = await status.query("ten_1", "gen_2"), asyncio.create_task(status.query("ten_2", "gen_3"))
    await eventually(lambda: workflows.asked == ["gen_1", "gen_3"])
    workflows.release.set()

    assert (await first, second, await other) == (VIEW, None, VIEW)
    assert await status.query("ten_1", "gen_2") == VIEW


async def test_four_are_asked_at_once_and_a_fifth_is_not(
    status: WorkflowStatus, workflows: QueriedWorkflows
) -> None:
    workflows.release.clear()
    four = [asyncio.create_task(status.query(f"ten_{number}", f"gen_{number}")) for number in range(4)]
    await eventually(lambda: len(workflows.asked) == 4)
    fifth = await status.query("ten_5", "gen_5")
    workflows.release.set()

    assert (await asyncio.gather(*four), fifth) == ([VIEW] * 4, None)
    assert await status.query("ten_5", "gen_5") == VIEW


async def test_after_a_timeout_no_query_is_made_for_five_seconds(
    status: WorkflowStatus, workflows: QueriedWorkflows, clock: Clock
) -> None:
    workflows.answer = None
    assert await status.query("ten_1", "gen_1") is None
    workflows.answer = VIEW
    clock.seconds += 4.9
    resting = await status.query("ten_2", "gen_2")
    clock.seconds += 0.2

    assert (resting, await status.query("ten_2", "gen_2")) == (None, VIEW)
    assert workflows.asked == ["gen_1", "gen_2"]


@pytest.mark.parametrize("end", ["error", "cancel"])
async def test_a_canceled_query_blocks_no_other(
    status: WorkflowStatus, workflows: QueriedWorkflows, end: str
) -> None:
    workflows.release.clear()
    workflows.answer = TemporalUnavailable()
    asking = asyncio.create_task(status.query("ten_1", "gen_1"))
    await eventually(lambda: workflows.asked == ["gen_1"])
    if end == "cancel":
        asking.cancel()
    workflows.release.set()
    await asyncio.wait([asking], timeout=1)
    assert asking.cancelled() or isinstance(asking.exception(), TemporalUnavailable)
    workflows.answer = VIEW

    assert await status.query("ten_1", "gen_1") == VIEW
