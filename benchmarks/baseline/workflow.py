"""The baseline workflow: the shape of a generation's, with empty steps."""

from contextlib import suppress
from datetime import timedelta

from temporalio import workflow

from benchmarks.baseline.steps import ASSETS_QUEUE, SUBMIT_QUEUE, BaselineSteps

_HEARTBEAT = timedelta(seconds=5)
_LEDGER_BUDGET = timedelta(seconds=3)
# Armed and never to fire: a signal to a run that ended without it is refused, which fails the benchmark.
_POLL = timedelta(seconds=60)


@workflow.defn
class BaselineWorkflow:
    """reserve (local) -> submit -> signal, a timer armed -> store, which settles as well."""

    def __init__(self) -> None:
        self._reported = False

    @workflow.run
    async def run(self, workflow_id: str) -> str:
        await workflow.execute_local_activity_method(
            BaselineSteps.baseline_reserve, workflow_id, schedule_to_close_timeout=_LEDGER_BUDGET
        )
        await workflow.execute_activity_method(
            BaselineSteps.baseline_submit,
            workflow_id,
            task_queue=SUBMIT_QUEUE,
            start_to_close_timeout=timedelta(minutes=1),
            heartbeat_timeout=_HEARTBEAT,
        )
        with suppress(TimeoutError):
            await workflow.wait_condition(lambda: self._reported, timeout=_POLL)
        return await workflow.execute_activity_method(
            BaselineSteps.baseline_store,
            workflow_id,
            task_queue=ASSETS_QUEUE,
            start_to_close_timeout=timedelta(minutes=3),
            heartbeat_timeout=_HEARTBEAT,
        )

    @workflow.signal
    def report_result(self, _workflow_id: str) -> None:
        self._reported = True
