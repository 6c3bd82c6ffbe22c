"""The times that a client has set for its job, as the workflow keeps them."""

import asyncio
from collections.abc import Callable
from datetime import datetime, timedelta

from temporalio import workflow

from domain.generation import GenerationInput


class ClientDeadlines:
    """Until when the job must have ended, and until when a provider must have taken it.

    A job without them gets no timer, as every job did from before there were any. The flags are only ever
    set, so that what was decided by one stays decided.

    Attributes:
        is_cancel_due: Whether the job is to be canceled.
        is_taken: Set once a provider has the job, or may have it: then it has started.
        is_storing: Set once its images are being stored: then it is too late to cancel.
    """

    def __init__(self, job: GenerationInput) -> None:
        self.is_cancel_due = False
        self.is_taken = False
        self.is_storing = False
        self._is_past_start_by = False
        self._cancel_at = _moment(job.cancel_at)
        self._start_by = _moment(job.start_by)
        self._timers: list[asyncio.Task[None]] = []

    @property
    def is_start_overdue(self) -> bool:
        return self._is_past_start_by and not self.is_taken

    @property
    def is_over(self) -> bool:
        return self.is_cancel_due or self.is_start_overdue

    def watch(self) -> None:
        """Start the timers. One that is over already shows before the next step."""
        if self._cancel_at is not None:
            self._timers.append(asyncio.create_task(self._watch_cancel_at(self._cancel_at)))
        if self._start_by is not None:
            self._timers.append(asyncio.create_task(self._watch_start_by(self._start_by)))

    async def _watch_cancel_at(self, moment: datetime) -> None:
        self.is_cancel_due = await _is_over(
            moment, lambda: self.is_storing, "Until its client has it canceled"
        )

    async def _watch_start_by(self, moment: datetime) -> None:
        self._is_past_start_by = await _is_over(
            moment, lambda: self.is_taken, "Until a provider must have taken it"
        )


def _moment(given: str | None) -> datetime | None:
    return datetime.fromisoformat(given) if given is not None else None


async def _is_over(moment: datetime, is_moot: Callable[[], bool], summary: str) -> bool:
    """Wait for the moment; False if it does not matter any more."""
    left = moment - workflow.now()
    if left <= timedelta(0):
        return True
    try:
        await workflow.wait_condition(is_moot, timeout=left, timeout_summary=summary)
    except TimeoutError:
        return True
    return False
