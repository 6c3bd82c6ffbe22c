"""One attempt at one provider: wait for a slot, submit, wait for the result."""

import random
from dataclasses import dataclass

from benchmarks.dbos.steps import Message, MessageKind, Steps, Timed
from domain.errors import ProviderThrottled, ProviderTimedOut, QueueTimedOut, ServiceError, SubmitUnknown
from domain.generation import Status, TerminalState, TimingPolicy
from domain.provider import AttemptRef, JobStatus, PollResult, ResultSignal, SubmitResult, SubmitState
from workflows.attempt_end import AttemptEnd, AttemptFailure

# As in workflows/attempt.py and workflows/slot_wait.py.
_MAX_PAUSE_SECONDS = 5.0
_MAX_PUSHBACKS = 3
_SAFETY_LOOK_SECONDS = 600.0
_MIN_PAUSE_SECONDS = 0.01


@dataclass(frozen=True)
class AttemptPlan:
    """Which provider an attempt goes to, and until when one must have taken it."""

    ref: AttemptRef
    provider: str
    timing: TimingPolicy
    queue_deadline_seconds: float
    has_fallback: bool = False


class Attempt:
    """Reads its mailbox between steps. A step is never interrupted, as DBOS has nothing to do it with."""

    def __init__(self, steps: Steps, plan: AttemptPlan, *, is_canceled: bool = False) -> None:
        self.plan = plan
        self.inbox_id: int | None = None
        self.is_canceled = is_canceled
        self._steps = steps
        self._result: PollResult | None = None
        self._has_slot = False
        self._is_closed = False
        self._is_submitted = False
        self._is_accepted = False
        self._pushback_code: str | None = None
        # Seeded, as a recovered workflow must draw the same.
        self._random = random.Random(plan.ref.generation_id)  # noqa: S311 - not a secret

    async def run(self, *, has_slot: bool, is_closed: bool, now_seconds: float) -> AttemptEnd:
        """Submit, and wait for the result. now_seconds: when the last step was recorded."""
        self._has_slot, self._is_closed = has_slot, is_closed
        submitted = await self._take_slot_and_submit(now_seconds)
        if isinstance(submitted, AttemptEnd):
            return submitted
        end = _submit_end(submitted.value)
        return end if end is not None else await self._wait_for_end(submitted)

    async def cancel_at_provider(self) -> None:
        """Spare the provider the work, if it may be at it. The refund does not depend on it."""
        if self._is_submitted and self._result is None:
            await self._steps.cancel(self.plan.ref)

    async def _take_slot_and_submit(self, now_seconds: float) -> Timed[SubmitResult] | AttemptEnd:
        """Wait for a slot and submit, as often as the provider pushes the attempt back in time."""
        pause_seconds, pushbacks = None, 0
        while True:
            if (end := await self._wait_for_slot(now_seconds, pause_seconds)) is not None:
                return end
            submitted = await self._submit(now_seconds)
            if isinstance(submitted, AttemptEnd) or submitted.value.state is not SubmitState.PUSHED_BACK:
                return submitted
            pushbacks += 1
            self._has_slot, self._pushback_code = False, submitted.value.code
            now_seconds, pause_seconds = submitted.at_seconds, submitted.value.retry_after_seconds or 0.0
            is_too_long = pause_seconds > _MAX_PAUSE_SECONDS or pushbacks >= _MAX_PUSHBACKS
            if self.plan.has_fallback and (submitted.value.closed or is_too_long):
                return AttemptEnd.took_nothing(self._slot_failure_code)

    async def _wait_for_slot(self, now_seconds: float, pause_seconds: float | None) -> AttemptEnd | None:
        """Wait for a slot; return an end if there is a reason to wait no longer."""
        deadline_seconds = self.plan.queue_deadline_seconds
        wait_seconds = _SAFETY_LOOK_SECONDS if pause_seconds is None else pause_seconds
        while not (self._has_slot or self._leaves or self.is_canceled) and now_seconds < deadline_seconds:
            timeout_seconds = max(_MIN_PAUSE_SECONDS, min(wait_seconds, deadline_seconds - now_seconds))
            if not await self._receive(timeout_seconds):
                asked = await self._steps.request_slot(self.plan.ref)
                self._has_slot, now_seconds = asked.value or self._has_slot, asked.at_seconds
                wait_seconds = _SAFETY_LOOK_SECONDS
        if self.is_canceled:
            return AttemptEnd.without_result(TerminalState(Status.CANCELED))
        return None if self._has_slot else AttemptEnd.took_nothing(self._slot_failure_code)

    async def _submit(self, now_seconds: float) -> Timed[SubmitResult] | AttemptEnd:
        try:
            return await self._steps.submit(self.plan.ref, self.plan.timing)
        except ServiceError as error:
            # Such as a database outage. An earlier try may have sent it: the row knows.
            terminal_state = TerminalState(Status.FAILED, error.code, unless_submitted=True)
            refund = await self._steps.refund(self.plan.ref.generation_id, terminal_state, self.plan.provider)
        if refund.outcome is not None:
            return AttemptEnd(outcome=refund.outcome)
        return Timed(SubmitResult(SubmitState.UNKNOWN), now_seconds)

    async def _wait_for_end(self, submitted: Timed[SubmitResult]) -> AttemptEnd:
        self._is_submitted = True
        self._result = submitted.value.verdict
        self._is_accepted = submitted.value.state is SubmitState.ACCEPTED
        await self._wait_for_result(submitted.at_seconds)
        return self._end()

    async def _wait_for_result(self, now_seconds: float) -> None:
        """Wait for a webhook, a poll, a cancel or the deadline."""
        timing = self.plan.timing
        deadline_seconds = now_seconds + timing.deadline_seconds
        pause_seconds = timing.first_poll_seconds
        while self._is_waiting and now_seconds < deadline_seconds:
            jitter = 1 + timing.poll_jitter * self._random.random()
            await self._receive(min(pause_seconds * jitter, deadline_seconds - now_seconds))
            if self._is_waiting:
                polled = await self._steps.poll(self.plan.ref)
                now_seconds = polled.at_seconds
                self._on_poll(polled.value)
                pause_seconds = min(pause_seconds * timing.poll_factor, timing.longest_poll_seconds)
                pause_seconds = max(pause_seconds, polled.value.retry_after_seconds or 0.0)

    def _on_poll(self, polled: PollResult) -> None:
        self._is_accepted = self._is_accepted or polled.job_id is not None
        if polled.verdict.is_final:
            self._result = polled

    async def _receive(self, timeout_seconds: float) -> bool:
        """Take one message; return whether there was one."""
        message = await self._steps.receive(timeout_seconds)
        if message is None:
            return False
        self._on_message(message)
        return True

    def _on_message(self, message: Message) -> None:
        is_ours = message.ordinal == self.plan.ref.ordinal
        if message.kind is MessageKind.CANCEL:
            self.is_canceled = True
        elif message.kind is MessageKind.SLOT_GRANTED and is_ours:
            self._has_slot = True
        elif message.kind is MessageKind.PROVIDER_CLOSED and is_ours:
            self._is_closed = True
        elif message.result is not None and is_ours:
            self._on_result(message.result)

    def _on_result(self, event: ResultSignal) -> None:
        """Take the first final status; any other one only says that it is time to poll."""
        if self._result is None and event.verdict in (JobStatus.SUCCEEDED, JobStatus.FAILED):
            status = JobStatus(event.verdict)
            self._result = PollResult(status, event.code, None, event.moderated_at, event.is_free)
            self.inbox_id = event.inbox_id

    @property
    def _is_waiting(self) -> bool:
        return self._result is None and not self.is_canceled

    @property
    def _leaves(self) -> bool:
        return self._is_closed and self.plan.has_fallback

    @property
    def _slot_failure_code(self) -> str:
        return self._pushback_code or (ProviderThrottled.code if self._leaves else QueueTimedOut.code)

    def _end(self) -> AttemptEnd:
        """Decide how the attempt ended. A cancel comes first: the client was promised it."""
        attention = None if self._is_accepted or self._result is not None else SubmitUnknown.code
        if self.is_canceled:
            return AttemptEnd.without_result(TerminalState(Status.CANCELED, attention=attention))
        if self._result is None:
            code = ProviderTimedOut.code if self._is_accepted else SubmitUnknown.code
            return AttemptEnd(failure=AttemptFailure(TerminalState(Status.FAILED, code, attention=attention)))
        if self._result.verdict is JobStatus.FAILED:
            code, at = self._result.code or ServiceError.code, self._result.moderated_at
            terminal_state = TerminalState(Status.FAILED, code, moderated_at=at)
            return AttemptEnd(failure=AttemptFailure(terminal_state, does_not_charge=self._result.is_free))
        return AttemptEnd()


def _submit_end(submitted: SubmitResult) -> AttemptEnd | None:
    """Return the end if the submit was one; None if there is, or may be, a job to wait for."""
    if submitted.outcome is not None:
        return AttemptEnd(outcome=submitted.outcome)
    if submitted.state is SubmitState.CANCELED:
        return AttemptEnd.without_result(TerminalState(Status.CANCELED))
    if submitted.state is SubmitState.REJECTED:
        terminal_state = TerminalState(Status.FAILED, submitted.code, moderated_at=submitted.moderated_at)
        return AttemptEnd(failure=AttemptFailure(terminal_state, took_nothing=True))
    return None
