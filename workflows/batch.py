"""A batch: pass after pass over its items, which are ordinary generations with workflows of their own."""

from contextlib import suppress
from dataclasses import replace
from datetime import timedelta

from temporalio import workflow

from domain import temporal_names
from domain.batches import BatchInput
from workflows import steps

# From pass to pass, while nothing moves.
_FIRST_PAUSE_SECONDS, _MAX_PAUSE_SECONDS = 0.5, 5.0
# After so many, the workflow goes on in a new run: so a history stays short, however many items there are.
_MAX_PASSES = 30


@workflow.defn(name=temporal_names.BATCH_WORKFLOW)
class BatchWorkflow:
    """Knows nothing of the items: what they are, and how far they are, is in the database.

    So a run that is lost may be started again, and one that is cut off goes on where the rows stand.
    """

    def __init__(self) -> None:
        self._is_wanted_now = False

    @workflow.run
    async def run(self, batch: BatchInput) -> None:
        if not batch.is_validated:
            await steps.validate_batch(batch.batch_id)
        pause_seconds = _FIRST_PAUSE_SECONDS
        for _ in range(_MAX_PASSES):
            self._is_wanted_now = False
            report = await steps.advance_batch(batch.batch_id)
            if report.has_ended:
                return
            if workflow.info().is_continue_as_new_suggested():
                break
            if report.has_moved:
                pause_seconds = _FIRST_PAUSE_SECONDS
                continue
            await self._pause(pause_seconds)
            pause_seconds = min(2 * pause_seconds, _MAX_PAUSE_SECONDS)
        # A signal that came since the last pass says what the next one reads from the row.
        workflow.continue_as_new(replace(batch, is_validated=True))

    @workflow.signal(name=temporal_names.BATCH_CANCEL_SIGNAL)
    def on_batch_cancel(self) -> None:
        """End the pause: its client has canceled it, which is in the row."""
        self._is_wanted_now = True

    async def _pause(self, seconds: float) -> None:
        with suppress(TimeoutError):
            await workflow.wait_condition(
                lambda: self._is_wanted_now,
                timeout=timedelta(seconds=seconds),
                timeout_summary="Until the next pass",
            )
