"""Today's code must replay every saved history. A failure here strands running workflows."""

import base64
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from temporalio.client import WorkflowHistory
from temporalio.worker import Replayer, UnsandboxedWorkflowRunner, WorkflowRunner
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner

from workflows.batch import BatchWorkflow
from workflows.delivery import DeliveryWorkflow
from workflows.generation import GenerationWorkflow

HISTORIES = {path.stem: path.read_text() for path in (Path(__file__).parent / "histories").glob("*.json")}
ENDINGS = {
    "batch_canceled",
    "batch_completed",
    "batch_continued",
    "batch_refused",
    "delivered_at_once",
    "delivered_at_last",
    "delivery_canceled_while_waiting",
    "delivery_exhausted",
    "delivery_sent_now",
    "delivery_waited_for_its_turn",
    "response_lost",
    "canceled_before_start",
    "canceled_during_a_call",
    "canceled_during_submit_by_client",
    "canceled_during_submit_by_temporal",
    "canceled_in_queue_by_client",
    "canceled_in_queue_by_temporal",
    "canceled_while_generating_by_client",
    "canceled_while_generating_by_temporal",
    "canceled_while_settling_by_client",
    "canceled_while_settling_by_temporal",
    "canceled_while_waiting_for_a_slot",
    "canceled_after_pushback",
    "completed_after_pushback",
    "completed_after_the_store_was_away",
    "completed_by_fallback_after_pushback",
    "completed_by_fallback_of_a_closed_provider",
    "pushed_back_until_the_end_with_provider_throttled",
    "pushed_back_until_the_end_with_provider_unavailable",
    "checked_and_completed",
    "checked_and_refused",
    "completed_after_ledger_outage",
    "completed_after_unknown_submit",
    "completed_by_a_job_that_was_looked_up",
    "completed_after_waiting_for_a_slot",
    "completed_by_response",
    "completed_by_early_webhook",
    "completed_by_poll",
    "completed_by_poll_on_hint",
    "completed_by_webhook",
    "completed_by_fallback_after_a_free_failure",
    "completed_by_fallback_after_provider_refused",
    "completed_by_fallback_after_provider_unavailable",
    "insufficient_credits",
    "queue_timed_out",
    "queue_timed_out_without_a_slot",
    "refused_by_both",
    "rejected_at_submit",
    "rejected_by_webhook",
    "result_unusable",
    "submit_unknown",
    "submit_unknown_after_the_last_try",
    "timed_out",
    "canceled_by_its_deadline_before_start",
    "canceled_by_its_deadline_during_a_call",
    "canceled_by_its_deadline_during_the_check",
    "canceled_by_its_deadline_in_queue",
    "canceled_by_its_deadline_while_generating",
    "completed_within_the_times_of_its_client",
    "not_started_in_time_after_pushback",
    "not_started_in_time_at_the_fallback",
    "not_started_in_time_before_the_fallback",
    "not_started_in_time_without_a_slot",
    "not_started_in_time_without_a_worker",
    "started_by_a_submit_in_flight",
}


def test_every_ending_has_a_history() -> None:
    assert set(HISTORIES) == ENDINGS


@pytest.mark.parametrize("runner", [UnsandboxedWorkflowRunner(), SandboxedWorkflowRunner()])
@pytest.mark.parametrize("name", sorted(HISTORIES))
async def test_history_still_replays(name: str, runner: WorkflowRunner) -> None:
    """Replay as production does, and in the sandbox, which refuses what is not deterministic."""
    history = WorkflowHistory.from_json(name, HISTORIES[name])
    await Replayer(
        workflows=[BatchWorkflow, DeliveryWorkflow, GenerationWorkflow], workflow_runner=runner
    ).replay_workflow(history)


@pytest.mark.parametrize("name", sorted(HISTORIES))
def test_no_secret_is_in_a_history(name: str) -> None:
    assert b"secret" not in b"".join(_payloads(json.loads(HISTORIES[name])))
    assert "secret" not in HISTORIES[name]


@pytest.mark.parametrize("name", sorted(HISTORIES))
def test_no_path_of_a_machine_is_in_a_history(name: str) -> None:
    assert "site-packages" not in HISTORIES[name]


def _payloads(part: Any) -> Iterator[bytes]:
    """Return every payload in a history, decoded."""
    if isinstance(part, dict) and isinstance(part.get("data"), str):
        yield base64.b64decode(part["data"])
    for child in part.values() if isinstance(part, dict) else part if isinstance(part, list) else ():
        yield from _payloads(child)
