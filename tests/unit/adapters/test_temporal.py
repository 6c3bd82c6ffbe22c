"""Which of Temporal's statuses mean that a run is over."""

from datetime import timedelta
from typing import Any, cast

import pytest
from temporalio.client import Client, WorkflowExecutionStatus

from adapters.temporal import TemporalWorkflowClient

CLOSED = {
    WorkflowExecutionStatus.COMPLETED,
    WorkflowExecutionStatus.FAILED,
    WorkflowExecutionStatus.CANCELED,
    WorkflowExecutionStatus.TERMINATED,
    WorkflowExecutionStatus.TIMED_OUT,
}
# `None`: a status that the SDK does not know yet, such as "paused".
STATUSES = [*WorkflowExecutionStatus, None]


class OneRun:
    """A client whose only run has this status."""

    def __init__(self, status: WorkflowExecutionStatus | None) -> None:
        self.status = status

    def get_workflow_handle(self, _: str) -> "OneRun":
        return self

    async def describe(self) -> "OneRun":
        return self


@pytest.mark.parametrize("status", STATUSES)
async def test_only_what_is_known_to_be_over_is_closed(status: Any) -> None:
    client = TemporalWorkflowClient(cast("Client", OneRun(status)), task_timeout=timedelta(seconds=1))
    assert (await client.describe_workflow("gen")).running == (status not in CLOSED)
