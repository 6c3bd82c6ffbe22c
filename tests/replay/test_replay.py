"""Today's code must replay every history that was kept. A failure here strands running workflows."""

import json
from pathlib import Path

import pytest
from temporalio.client import WorkflowHistory
from temporalio.worker import Replayer

from workflows.generation import GenerationWorkflow

HISTORIES = sorted((Path(__file__).parent / "histories").glob("*.json"))
ENDINGS = {
    "canceled_before_start",
    "canceled_during_submit_by_client",
    "canceled_during_submit_by_temporal",
    "canceled_in_line_by_client",
    "canceled_in_line_by_temporal",
    "canceled_while_generating_by_client",
    "canceled_while_generating_by_temporal",
    "canceled_while_settling_by_client",
    "canceled_while_settling_by_temporal",
    "completed_after_ledger_outage",
    "completed_after_unknown_submit",
    "completed_by_early_webhook",
    "completed_by_poll",
    "completed_by_poll_on_hint",
    "completed_by_webhook",
    "insufficient_credits",
    "queue_timed_out",
    "rejected_at_submit",
    "rejected_by_webhook",
    "result_unusable",
    "submit_unknown",
    "timed_out",
}


def test_every_ending_is_kept() -> None:
    assert {path.stem for path in HISTORIES} == ENDINGS


@pytest.mark.parametrize("path", HISTORIES, ids=lambda path: path.stem)
async def test_history_still_replays(path: Path) -> None:
    history = WorkflowHistory.from_json(path.stem, path.read_text())
    await Replayer(workflows=[GenerationWorkflow]).replay_workflow(history)


@pytest.mark.parametrize("path", HISTORIES, ids=lambda path: path.stem)
def test_no_secret_is_in_a_history(path: Path) -> None:
    assert "secret" not in json.dumps(json.loads(path.read_text()))
