"""One attempt at one provider: wait for a slot, submit, wait for the result."""

import asyncio
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from temporalio import workflow
from temporalio.exceptions import ActivityError, ApplicationError, TimeoutType
from temporalio.exceptions import TimeoutError as TemporalTimeout

from domain.errors import (
    ProviderThrottled,
    ProviderTimedOut,
    QueueTimedOut,
    ServiceError,
    SubmitUnknown,
    describe,
)
from domain.generation import Stage, Status, TerminalState, TimingPolicy
from domain.provider import AttemptRef, JobStatus, PollResult, ResultSignal, SubmitResult, SubmitState
from workflows import steps
from workflows.attempt_end import FALLBACK_CODES, AttemptEnd, AttemptFailure
from workflows.run_state import RunState
from workflows.slot_wait import SlotWait

# With a fallback, a longer pause is not waited for, and no more pushbacks are taken.
_MAX_PAUSE_SECONDS = 5.0
_MAX_PUSHBACKS = 3
# A submit that has its slot waits for the rate limit of its queue at least so long.
_MIN_QUEUE_TIMEOUT = timedelta(seconds=5)


@dataclass(frozen=True)
class AttemptPlan:
    """Which provider an attempt goes to, and how long it waits for what."""

    provider: str
    timing: TimingPolicy
    has_fallback: bool = False


@dataclass(frozen=True)
class _Submitted:
    """How a submit went: an end, or a result whose job is to be waited for."""

    result: SubmitResult | None = None
    end: AttemptEnd | None = None


class Attempt:
    """Waits for signals, polls, a cancel or a deadline. Signals arrive as plain method calls."""

    def __init__(self, ref: AttemptRef, plan: AttemptPlan, state: RunState) -> None:
        self.ref = ref
        self.inbox_id: int | None = None
        self._plan = plan
        self._state = state
        self._result: PollResult | None = None
        self._poll_now = False
        self._is_accepted = False
        self._slot = SlotWait(ref, plan.provider, leaves_if_closed=plan.has_fallback)
        self._pushbacks = 0
        self._queue_deadline = workflow.now()
        self._is_timed_from_start = False

    @property
    def provider(self) -> str:
        return self._plan.provider

    def on_result(self, event: ResultSignal) -> None:
        """Take the first final status: webhooks come late, twice and in any order, or not at all."""
        if event.verdict not in (JobStatus.SUCCEEDED, JobStatus.FAILED):
            self._poll_now = True
        elif self._result is None:
            self._result = PollResult(
                JobStatus(event.verdict), event.code, None, event.moderated_at, event.is_free
            )
            self.inbox_id = event.inbox_id
            self._state.deadlines.is_taken = True

    def on_slot_granted(self) -> None:
        self._slot.on_granted()

    def on_provider_closed(self) -> None:
        self._slot.on_closed()

    async def run(self, *, waits_for_slot: bool, queue_deadline: datetime | None) -> AttemptEnd:
        """Submit, and wait for the result.

        queue_deadline: Until when a provider must have taken it; None for a run that began in a version that
        timed each wait by itself.
        """
        self._state.progress.attempts += 1
        self._state.set_stage(Stage.THROTTLED)
        self._is_timed_from_start = queue_deadline is not None
        self._queue_deadline = queue_deadline or self._own_deadline()
        submitted = await self._take_slot_and_submit(waits_for_slot=waits_for_slot)
        if submitted.end is not None:
            if submitted.end.failure is None or self._result is None:
                return submitted.end
            # It said that it took nothing, and has sent a webhook since.
            submitted = _Submitted(SubmitResult(SubmitState.UNKNOWN))
        assert submitted.result is not None
        return self._submit_end(submitted.result) or await self._wait_for_end(submitted.result)

    async def cancel_at_provider(self) -> None:
        """Spare the provider the work, and us the bill. The refund does not depend on it."""
        at_work = self._state.progress.stage in (Stage.GENERATING, Stage.SUBMIT_UNKNOWN)
        if not at_work or self._result is not None:
            return
        try:
            await steps.cancel(self.provider, self.ref)
        except ActivityError as error:
            workflow.logger.warning("the job could not be canceled: %s", failure_code(error))

    async def _take_slot_and_submit(self, *, waits_for_slot: bool) -> _Submitted:
        """Wait for a slot and submit, as often as the provider pushes the attempt back in time."""
        pause_seconds = None
        while True:
            if waits_for_slot and (end := await self._wait_for_slot(pause_seconds)) is not None:
                return _Submitted(end=end)
            if not self._is_timed_from_start:
                self._queue_deadline = self._own_deadline()
            submitted = await self._submit(has_fallback=self._plan.has_fallback)
            result = submitted.result
            if result is None or result.state is not SubmitState.PUSHED_BACK:
                return submitted
            self._pushbacks += 1
            self._slot.has_slot, self._slot.pushback_code = False, result.code
            if self._result is None and self._leaves_after(result):
                return _Submitted(end=AttemptEnd.took_nothing(self._slot.failure_code))
            self._state.progress.pushback_code = result.code
            self._state.publish_status()
            waits_for_slot, pause_seconds = True, result.retry_after_seconds

    def _leaves_after(self, pushback: SubmitResult) -> bool:
        """Return whether the fallback is tried now: what the provider wants is too long to wait for."""
        is_too_long = (pushback.retry_after_seconds or 0.0) > _MAX_PAUSE_SECONDS
        is_too_often = self._pushbacks >= _MAX_PUSHBACKS
        return self._plan.has_fallback and (pushback.closed or is_too_long or is_too_often)

    async def _wait_for_slot(self, pause_seconds: float | None) -> AttemptEnd | None:
        # A result proves that the provider has the job: the submit will find that out.
        await self._slot.wait(
            self._queue_deadline,
            pause_seconds,
            lambda: self._result is not None or self._state.early_end() is not None,
        )
        if early_end := self._state.early_end():
            return AttemptEnd.without_result(early_end)
        if self._slot.has_slot or self._result is not None:
            return None
        return AttemptEnd.took_nothing(self._slot.failure_code)

    def _own_deadline(self) -> datetime:
        return workflow.now() + timedelta(seconds=self._plan.timing.queue_timeout_seconds)

    async def _submit(self, *, has_fallback: bool) -> _Submitted:
        """Submit; on a cancel, or once it is too late, refund instead if the submit has not begun.

        has_fallback: Whether an older worker's failure is one of its few tries before a fallback.
        """
        submitting = asyncio.create_task(
            steps.submit(
                self.provider,
                self._plan.timing,
                self.ref,
                queue_timeout=max(_MIN_QUEUE_TIMEOUT, self._queue_deadline - workflow.now()),
            )
        )
        await workflow.wait_condition(lambda: submitting.done() or self._state.early_end() is not None)
        if not submitting.done() and (early_end := self._state.early_end()):
            # If this refunds, the queued submit will find the generation ended.
            terminal_state = replace(early_end, unless_submitted=True)
            refund = await steps.refund(self.ref.generation_id, terminal_state, self.provider)
            if refund.outcome is not None:
                return _Submitted(end=AttemptEnd(outcome=refund.outcome))
        try:
            return _Submitted(await submitting)
        except ActivityError as error:
            return await self._after_failed_submit(error, has_fallback=has_fallback)

    async def _after_failed_submit(self, error: ActivityError, *, has_fallback: bool) -> _Submitted:
        """Decide what the end of all retries means."""
        cause, code = error.cause, failure_code(error)
        if isinstance(cause, TemporalTimeout) and cause.type is not TimeoutType.SCHEDULE_TO_START:
            # The worker died in the last try, and it is unknown how far it got.
            return _Submitted(SubmitResult(SubmitState.UNKNOWN))
        is_in_time = workflow.now() < self._queue_deadline
        # A worker of an older version fails the activity instead of giving the slot back.
        if code == ProviderThrottled.code and not has_fallback and is_in_time:
            return await self._submit(has_fallback=False)  # a busy provider is waited for
        if code in FALLBACK_CODES:
            return _Submitted(end=AttemptEnd.took_nothing(code))
        if has_fallback or (self._is_timed_from_start and is_in_time):  # our own outage is waited out
            return await self._submit(has_fallback=False)
        # Such as a database outage. An earlier try may have sent it: the row knows.
        terminal_state = TerminalState(Status.FAILED, code, unless_submitted=True)
        refund = await steps.refund(self.ref.generation_id, terminal_state, self.provider)
        if refund.outcome is not None:
            return _Submitted(end=AttemptEnd(outcome=refund.outcome))
        return _Submitted(SubmitResult(SubmitState.UNKNOWN))

    def _submit_end(self, submitted: SubmitResult) -> AttemptEnd | None:
        """Return the end if the submit was one; None if there is, or may be, a job to wait for."""
        if submitted.outcome is not None:
            return AttemptEnd(outcome=submitted.outcome)
        if submitted.state is SubmitState.CANCELED:
            return AttemptEnd.without_result(self._state.canceled())
        if submitted.state is SubmitState.REJECTED:
            terminal_state = TerminalState(Status.FAILED, submitted.code, moderated_at=submitted.moderated_at)
            return AttemptEnd(failure=AttemptFailure(terminal_state, took_nothing=True))
        return None

    async def _wait_for_end(self, submitted: SubmitResult) -> AttemptEnd:
        self._state.deadlines.is_taken = True
        self._state.progress.provider_job_id = submitted.job_id
        self._result = self._result or submitted.verdict
        self._is_accepted = submitted.state is SubmitState.ACCEPTED
        self._state.set_stage(Stage.GENERATING if self._is_accepted else Stage.SUBMIT_UNKNOWN)
        await self._wait_for_result()
        return self._end(is_accepted=self._is_accepted)

    async def _wait_for_result(self) -> None:
        """Wait for a webhook, a poll, a cancel or the deadline. The poll timer is always armed."""
        timing = self._plan.timing
        deadline = workflow.now() + timedelta(seconds=timing.deadline_seconds)
        pause_seconds = timing.first_poll_seconds
        while self._is_waiting() and workflow.now() < deadline:
            jitter = 1 + timing.poll_jitter * workflow.random().random()
            next_poll = min(workflow.now() + timedelta(seconds=pause_seconds * jitter), deadline)
            await self._wait_until(next_poll, deadline)
            if self._is_waiting():
                min_pause_seconds = await self._poll()
                pause_seconds = min(pause_seconds * timing.poll_factor, timing.longest_poll_seconds)
                pause_seconds = max(pause_seconds, min_pause_seconds or 0)

    def _is_waiting(self) -> bool:
        return self._result is None and not self._state.cancel_requested

    async def _wait_until(self, next_poll: datetime, deadline: datetime) -> None:
        self._state.progress.set_next_poll(next_poll, deadline)
        self._state.publish_status()
        with suppress(TimeoutError):  # no webhook came, so it is time to poll
            await workflow.wait_condition(
                lambda: self._poll_now or not self._is_waiting(),
                timeout=next_poll - workflow.now(),
                timeout_summary=f"Webhook, or poll {self._state.progress.polls + 1}",
            )
        self._poll_now = False

    async def _poll(self) -> float | None:
        """Poll once, unless a webhook comes first; return the shortest pause that the provider wants.

        A failed poll says nothing about the job: the loop polls again.
        """
        self._state.progress.polls += 1
        polling = asyncio.create_task(steps.poll(self.provider, self.ref, self._state.progress.polls))
        await workflow.wait_condition(lambda: polling.done() or not self._is_waiting())
        if not polling.done():
            polling.cancel()
            return None
        try:
            polled = await polling
        except ActivityError as error:
            workflow.logger.warning("poll failed, will poll again: %s", failure_code(error))
            return None
        if polled.job_id is not None and not self._is_accepted:
            self._is_accepted, self._state.progress.provider_job_id = True, polled.job_id
            self._state.set_stage(Stage.GENERATING)
        if polled.verdict.is_final and self._result is None:
            self._result = polled
        return polled.retry_after_seconds

    def _end(self, *, is_accepted: bool) -> AttemptEnd:
        """Decide how the attempt ended. A cancel comes first: the client was promised it."""
        attention = None if is_accepted or self._result is not None else SubmitUnknown.code
        if self._state.cancel_requested:
            return AttemptEnd.without_result(self._state.canceled(attention))
        if self._result is None:
            code = ProviderTimedOut.code if is_accepted else SubmitUnknown.code
            return AttemptEnd(failure=AttemptFailure(TerminalState(Status.FAILED, code, attention=attention)))
        if self._result.verdict is JobStatus.FAILED:
            code, at = self._result.code or ServiceError.code, self._result.moderated_at
            terminal_state = TerminalState(Status.FAILED, code, moderated_at=at)
            failure = AttemptFailure(terminal_state, does_not_charge=self._result.is_free)
            return AttemptEnd(failure=failure)
        return AttemptEnd()


def failure_code(error: BaseException) -> str:
    """Return a failure's stable code, as the API reports it."""
    cause = steps.cause_of(error)
    if isinstance(cause, ApplicationError):
        return describe(cause.type or "").code
    if isinstance(cause, TemporalTimeout) and cause.type is TimeoutType.SCHEDULE_TO_START:
        return QueueTimedOut.code
    return ServiceError.code
