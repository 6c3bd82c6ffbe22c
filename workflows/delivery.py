"""One delivery: attempts by the published schedule until one succeeds, or there are no more."""

from contextlib import suppress
from datetime import timedelta

from temporalio import workflow

from domain import temporal_names
from domain.webhooks import DeliveryInput, DeliveryStatus, SendReport, SendRequest
from workflows import steps

# Up to this share is added to every pause, so that what failed together does not come again together.
_JITTER = 0.1
_FIRST_BUSY_SECONDS, _MAX_BUSY_SECONDS = 0.5, 300.0


@workflow.defn(name=temporal_names.DELIVERY_WORKFLOW)
class DeliveryWorkflow:
    """Sends one webhook. What it sends, and where to, is in the database.

    It ends with the delivery's status: a receiver that never takes it is an outcome, not a failed workflow.
    """

    def __init__(self) -> None:
        self._is_wanted_now = False

    @workflow.run
    async def run(self, job: DeliveryInput) -> str:
        await self._pause(job.schedule_seconds[0])
        pauses = [*job.schedule_seconds[1:], None]
        for number, following in enumerate(pauses, job.first_number):
            next_wait = None if following is None else _with_jitter(following)
            report = await self._attempt(SendRequest(job.delivery_id, number, next_wait))
            if report.status is not DeliveryStatus.PENDING:
                return report.status
            self._describe(number, report)
            await self._pause(report.wait_seconds)
        return DeliveryStatus.EXHAUSTED

    @workflow.signal(name=temporal_names.SEND_NOW_SIGNAL)
    def on_send_now(self) -> None:
        """End the pause: its client wants it now, or has ended it."""
        self._is_wanted_now = True

    async def _attempt(self, request: SendRequest) -> SendReport:
        """Make one attempt, waiting for the endpoint's turn."""
        busy_seconds = _FIRST_BUSY_SECONDS
        while True:
            self._is_wanted_now = False
            report = await steps.send_webhook(request)
            if not report.is_busy:
                return report
            await self._pause(_with_jitter(busy_seconds))
            busy_seconds = min(2 * busy_seconds, _MAX_BUSY_SECONDS)

    async def _pause(self, seconds: float) -> None:
        if seconds <= 0:
            return
        with suppress(TimeoutError):
            await workflow.wait_condition(
                lambda: self._is_wanted_now,
                timeout=timedelta(seconds=seconds),
                timeout_summary="Until the next attempt",
            )

    def _describe(self, number: int, report: SendReport) -> None:
        due = workflow.now() + timedelta(seconds=report.wait_seconds)
        response = f" with status {report.response_status}" if report.response_status is not None else ""
        workflow.set_current_details(
            f"Attempt {number} failed: `{report.error_code}`{response}."
            f" The next is due at {due.isoformat(timespec='seconds')}."
        )


def _with_jitter(seconds: float) -> float:
    return seconds * (1 + _JITTER * workflow.random().random())
