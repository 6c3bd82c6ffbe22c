"""One try at one provider: a place, a submit, and the wait for a verdict."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta

from temporalio import workflow
from temporalio.exceptions import ActivityError, ApplicationError, TimeoutType
from temporalio.exceptions import TimeoutError as TemporalTimeout

with workflow.unsafe.imports_passed_through():
    from domain.errors import (
        ProviderFailed,
        ProviderRefused,
        ProviderThrottled,
        ProviderTimedOut,
        ProviderUnavailable,
        QueueTimedOut,
        ServiceError,
        SubmitUnknown,
        describe,
    )
    from domain.generation import Ending, GenerationInput, Outcome, Stage, Status, Waits
    from domain.provider import AttemptRef, PollAnswer, ResultSignal, SubmitAnswer, SubmitState, Verdict
    from workflows import steps
    from workflows.progress import Progress

_FINAL = (Verdict.SUCCEEDED, Verdict.FAILED)
# A waiting job is woken when its turn comes; it looks for itself this often, in case that word is lost.
_LOOK_AGAIN = timedelta(seconds=60)
# What another provider may do better. Never a refusal of the content, and never what is not known.
_NOT_THE_REQUESTS_FAULT = frozenset(
    error.code
    for error in (ProviderRefused, ProviderFailed, ProviderUnavailable, ProviderThrottled, QueueTimedOut)
)


@dataclass(frozen=True)
class Plan:
    """Which provider an attempt goes to, and how patiently."""

    provider: str
    waits: Waits
    has_fallback: bool = False


@dataclass(frozen=True)
class Failure:
    """How an attempt ended without a result. `is_free`: the provider took nothing, or charges nothing."""

    ending: Ending
    is_free: bool = False

    @property
    def may_go_elsewhere(self) -> bool:
        return self.is_free and self.ending.code in _NOT_THE_REQUESTS_FAULT


class Attempt:
    """Waits for signals, polls, a cancel or a deadline; signals are told to it as plain calls.

    wants_cancel: whether to stop; it is asked between the steps. enter: called with each new stage.
    tell: called when there is something new to show.
    """

    def __init__(
        self,
        job: GenerationInput,
        ref: AttemptRef,
        plan: Plan,
        progress: Progress,
        wants_cancel: Callable[[], bool],
        enter: Callable[[Stage], None],
        tell: Callable[[], None],
    ) -> None:
        self.ref = ref
        self.inbox_id: int | None = None
        self._job = job
        self._plan = plan
        self._progress = progress
        self._wants_cancel = wants_cancel
        self._enter = enter
        self._tell = tell
        self._verdict: PollAnswer | None = None
        self._poll_now = False
        self._has_place = False
        self._line_ends = workflow.now()

    @property
    def provider(self) -> str:
        return self._plan.provider

    def hear(self, event: ResultSignal) -> None:
        """The first verdict counts: webhooks come late, twice and in any order, or not at all."""
        if event.verdict not in _FINAL:
            self._poll_now = True
        elif self._verdict is None:
            self._verdict = PollAnswer(
                Verdict(event.verdict), event.code, None, event.moderated_at, event.is_free
            )
            self.inbox_id = event.inbox_id

    def admit(self) -> None:
        """Its turn has come."""
        self._has_place = True

    async def run(self, *, waits_for_place: bool) -> Outcome | Failure | None:
        """None if there is a result to store; the outcome if somebody else has ended the generation."""
        self._progress.attempts += 1
        self._enter(Stage.THROTTLED)
        if waits_for_place and (failure := await self._wait_for_place()) is not None:
            return failure
        self._line_ends = workflow.now() + timedelta(seconds=self._plan.waits.queue_timeout_seconds)
        answer = await self._submit(hurry=self._plan.has_fallback)
        if isinstance(answer, Failure) and self._verdict is not None:
            answer = SubmitAnswer(SubmitState.UNKNOWN)  # it says that it took nothing, and has reported since
        if not isinstance(answer, SubmitAnswer):
            return answer
        if answer.outcome is not None:
            return answer.outcome
        if answer.state is SubmitState.CANCELED:
            return Failure(Ending(Status.CANCELED))
        if answer.state is SubmitState.REJECTED:
            ending = Ending(Status.FAILED, answer.code, moderated_at=answer.moderated_at)
            return Failure(ending, is_free=True)
        self._progress.provider_job_id = answer.job_id
        self._verdict = self._verdict or answer.verdict
        known = answer.state is SubmitState.ACCEPTED
        self._enter(Stage.GENERATING if known else Stage.SUBMIT_UNKNOWN)
        await self._wait_for_verdict()
        return self._failure(known=known)

    async def call_off(self) -> None:
        """A courtesy to the provider, and to the bill; the refund does not depend on it."""
        at_work = self._progress.stage in (Stage.GENERATING, Stage.SUBMIT_UNKNOWN)
        if not at_work or self._verdict is not None:
            return
        try:
            await steps.cancel(self.provider, self.ref)
        except ActivityError as error:
            workflow.logger.warning("the provider could not be called off: %s", code_of(error))

    async def _wait_for_place(self) -> Failure | None:
        gives_up = workflow.now() + timedelta(seconds=self._plan.waits.queue_timeout_seconds)
        while self._stands_in_line() and workflow.now() < gives_up:
            try:
                await workflow.wait_condition(
                    lambda: not self._stands_in_line(),
                    timeout=min(_LOOK_AGAIN, gives_up - workflow.now()),
                    timeout_summary=f"A free place at {self.provider}",
                )
            except TimeoutError:
                # The word may have come while we asked.
                self._has_place = await steps.ask_for_place(self.ref) or self._has_place
        if self._wants_cancel():
            return Failure(Ending(Status.CANCELED))
        return None if self._has_place else Failure(Ending(Status.FAILED, QueueTimedOut.code), is_free=True)

    def _stands_in_line(self) -> bool:
        return not self._has_place and not self._wants_cancel()

    async def _submit(self, *, hurry: bool) -> SubmitAnswer | Outcome | Failure:
        """Submit, or leave the line if a cancel comes while still standing in it."""
        submitting = asyncio.create_task(steps.submit(self.provider, self._plan.waits, self.ref, hurry=hurry))
        await workflow.wait_condition(lambda: submitting.done() or self._wants_cancel())
        if not submitting.done():
            # If this refunds, the submit that still stands in line will find the generation ended.
            ending = Ending(Status.CANCELED, unless_submitted=True)
            refund = await steps.refund(self._job.generation_id, ending, self.provider)
            if refund.outcome is not None:
                return refund.outcome
        try:
            return await submitting
        except ActivityError as error:
            return await self._after_the_last_try(error, hurry=hurry)

    async def _after_the_last_try(
        self, error: ActivityError, *, hurry: bool
    ) -> SubmitAnswer | Outcome | Failure:
        cause, code = error.cause, code_of(error)
        if isinstance(cause, TemporalTimeout) and cause.type is not TimeoutType.SCHEDULE_TO_START:
            # The worker died in the last try, and nobody knows how far it had come.
            return SubmitAnswer(SubmitState.UNKNOWN)
        if code == ProviderThrottled.code and not hurry and workflow.now() < self._line_ends:
            return await self._submit(hurry=False)  # a provider that is busy is a line, not a failure
        if code in _NOT_THE_REQUESTS_FAULT:
            return Failure(Ending(Status.FAILED, code), is_free=True)
        if hurry:  # the short budget is for a provider that takes nothing, not for an outage of ours
            return await self._submit(hurry=False)
        # Such as a database outage. An earlier try may have sent it: the row knows.
        ending = Ending(Status.FAILED, code, unless_submitted=True)
        refund = await steps.refund(self._job.generation_id, ending, self.provider)
        return refund.outcome or SubmitAnswer(SubmitState.UNKNOWN)

    async def _wait_for_verdict(self) -> None:
        """Until a webhook, a poll, a cancel or the deadline. The poll timer is always armed."""
        waits = self._plan.waits
        deadline = workflow.now() + timedelta(seconds=waits.deadline_seconds)
        pause_seconds = waits.first_poll_seconds
        while self._is_waiting() and workflow.now() < deadline:
            jitter = 1 + waits.poll_jitter * workflow.random().random()
            next_poll = min(workflow.now() + timedelta(seconds=pause_seconds * jitter), deadline)
            await self._wait_until(next_poll, deadline)
            if self._is_waiting():
                wanted_pause_seconds = await self._poll()
                pause_seconds = min(pause_seconds * waits.poll_factor, waits.longest_poll_seconds)
                pause_seconds = max(pause_seconds, wanted_pause_seconds or 0)

    def _is_waiting(self) -> bool:
        return self._verdict is None and not self._wants_cancel()

    async def _wait_until(self, next_poll: datetime, deadline: datetime) -> None:
        self._progress.waiting_until(next_poll, deadline)
        self._tell()
        with suppress(TimeoutError):  # nobody called, so we ask
            await workflow.wait_condition(
                lambda: self._poll_now or not self._is_waiting(),
                timeout=next_poll - workflow.now(),
                timeout_summary=f"Webhook, or poll {self._progress.polls + 1}",
            )
        self._poll_now = False

    async def _poll(self) -> float | None:
        """Ask once, unless a webhook answers first; how long the provider wants to be left alone.

        A failed poll is no verdict on the job: the loop asks again.
        """
        self._progress.polls += 1
        polling = asyncio.create_task(steps.fetch(self.provider, self.ref, self._progress.polls))
        await workflow.wait_condition(lambda: polling.done() or not self._is_waiting())
        if not polling.done():
            polling.cancel()
            return None
        try:
            answer = await polling
        except ActivityError as error:
            workflow.logger.warning("poll failed, will ask again: %s", code_of(error))
            return None
        if answer.verdict in _FINAL and self._verdict is None:
            self._verdict = answer
        return answer.retry_after_seconds

    def _failure(self, *, known: bool) -> Failure | None:
        """How to end when there is nothing to store; None if there is a result.

        A cancel comes first: the client has been told that it was accepted.
        """
        attention = None if known or self._verdict is not None else SubmitUnknown.code
        if self._wants_cancel():
            return Failure(Ending(Status.CANCELED, attention=attention))
        if self._verdict is None:
            code = ProviderTimedOut.code if known else SubmitUnknown.code
            return Failure(Ending(Status.FAILED, code, attention=attention))
        if self._verdict.verdict is Verdict.FAILED:
            code, at = self._verdict.code or ServiceError.code, self._verdict.moderated_at
            return Failure(Ending(Status.FAILED, code, moderated_at=at), self._verdict.is_free)
        return None


def code_of(error: BaseException) -> str:
    """The failure's stable code, as the API reports it."""
    cause = steps.behind(error)
    if isinstance(cause, ApplicationError):
        return describe(cause.type or "").code
    if isinstance(cause, TemporalTimeout) and cause.type is TimeoutType.SCHEDULE_TO_START:
        return QueueTimedOut.code
    return ServiceError.code
