"""A workflow whose steps have changed does not replay, as production runs it: outside the sandbox."""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from temporalio import workflow
from temporalio.client import WorkflowHistory
from temporalio.worker import Replayer, UnsandboxedWorkflowRunner

from domain.generation import Outcome, Stage
from domain.provider import StoreRequest
from workflows import steps
from workflows.generation import GenerationWorkflow
from workflows.run_state import RunState

HISTORY = Path(__file__).parent / "histories" / "completed_by_webhook.json"
Change = Callable[[pytest.MonkeyPatch], None]


async def _replay() -> None:
    history = WorkflowHistory.from_json("completed", HISTORY.read_text())
    replayer = Replayer(workflows=[GenerationWorkflow], workflow_runner=UnsandboxedWorkflowRunner())
    await replayer.replay_workflow(history)


def _waits_longer(patch: pytest.MonkeyPatch) -> None:
    reserve = steps.reserve

    async def later(generation_id: str, tenant_id: str) -> Any:
        await workflow.sleep(timedelta(seconds=1))
        return await reserve(generation_id, tenant_id)

    patch.setattr(steps, "reserve", later)


def _settles_first(patch: pytest.MonkeyPatch) -> None:
    async def settle_and_store(self: GenerationWorkflow) -> Outcome:
        outcome = await steps.settle(self._job.generation_id)
        await steps.store(StoreRequest(self._attempt.ref, self._attempt.inbox_id))
        return outcome

    patch.setattr(GenerationWorkflow, "_store_and_settle", settle_and_store)


def _reserves_twice(patch: pytest.MonkeyPatch) -> None:
    reserve = steps.reserve

    async def twice(generation_id: str, tenant_id: str) -> Any:
        await reserve(generation_id, tenant_id)
        return await reserve(generation_id, tenant_id)

    patch.setattr(steps, "reserve", twice)


def _does_not_store(patch: pytest.MonkeyPatch) -> None:
    async def settle(self: GenerationWorkflow) -> Outcome:
        return await steps.settle(self._job.generation_id)

    patch.setattr(GenerationWorkflow, "_store_and_settle", settle)


def _submits_as_an_activity_of_another_name(patch: pytest.MonkeyPatch) -> None:
    def poll(provider: str, _timing: Any, attempt: Any, **_: Any) -> Awaitable[Any]:
        return steps.poll(provider, attempt, 1)

    patch.setattr(steps, "submit", poll)


def _indexes_no_stage(patch: pytest.MonkeyPatch) -> None:
    def set_stage(self: RunState, stage: Stage) -> None:
        self.progress.stage = stage

    patch.setattr(RunState, "set_stage", set_stage)


async def test_the_unchanged_workflow_replays() -> None:
    await _replay()


@pytest.mark.parametrize(
    "change",
    [
        _waits_longer,
        _settles_first,
        _reserves_twice,
        _does_not_store,
        _submits_as_an_activity_of_another_name,
        _indexes_no_stage,
    ],
)
async def test_a_changed_workflow_does_not_replay(change: Change, monkeypatch: pytest.MonkeyPatch) -> None:
    change(monkeypatch)
    with pytest.raises(workflow.NondeterminismError):
        await _replay()
