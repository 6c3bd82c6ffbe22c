"""One generation, from held credits to a settled charge or a refund."""

import asyncio
from collections.abc import Coroutine
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any

from temporalio import workflow
from temporalio.common import SearchAttributeKey
from temporalio.exceptions import ActivityError, ApplicationError, FailureError, TimeoutType
from temporalio.exceptions import TimeoutError as TemporalTimeout

with workflow.unsafe.imports_passed_through():
    from domain import names
    from domain.errors import ProviderTimedOut, QueueTimedOut, ServiceError, SubmitUnknown, describe
    from domain.generation import Ending, GenerationInput, Outcome, Stage, Status
    from domain.provider import (
        AttemptRef,
        PollAnswer,
        ResultSignal,
        StoreRequest,
        StoreState,
        SubmitAnswer,
        SubmitState,
        Verdict,
    )
    from workflows import steps
    from workflows.progress import Progress

_STAGE = SearchAttributeKey.for_keyword(names.STAGE_ATTRIBUTE)
_FINAL = (Verdict.SUCCEEDED, Verdict.FAILED)


@workflow.defn(name=names.GENERATION_WORKFLOW)
class GenerationWorkflow:
    """reserve -> submit -> wait -> store -> settle; whatever ends it after the hold refunds.

    Workflow id: the generation id. A refund is an outcome: only a bug fails or stalls the workflow.
    Cancel and deadline are state that the story looks at between its steps. Nothing ever interrupts a step,
    so a submit is never cut in flight and a money step always comes to its end.
    """

    @workflow.init
    def __init__(self, job: GenerationInput) -> None:
        self._job = job
        self._attempt = AttemptRef(job.generation_id)
        self._progress = Progress()
        self._verdict: PollAnswer | None = None
        self._inbox_id: int | None = None
        self._poll_now = False
        self._cancel_requested = False

    @workflow.run
    async def run(self, job: GenerationInput) -> Outcome:
        """Tell the story to its end. Temporal's own cancel becomes state, like a client's."""
        story = asyncio.create_task(self._story())
        while not story.done():
            try:
                await asyncio.shield(story)
            except asyncio.CancelledError:
                if story.done():  # the worker drops the run from its cache and will replay it
                    raise
                self._cancel_requested = True
        outcome = story.result()
        self._enter(Stage(outcome.status))
        if outcome.status is Status.CANCELED and workflow.cancellation_reason() is not None:
            raise asyncio.CancelledError
        return outcome

    @workflow.signal(
        name=names.REPORT_RESULT, description="A provider's webhook has arrived; its row id and verdict."
    )
    def report_result(self, *arguments: Any) -> None:
        """The first verdict counts: webhooks come late, twice and in any order, or not at all."""
        event = ResultSignal.read(arguments)
        if event is None or event.ordinal != self._attempt.ordinal:
            workflow.logger.warning("ignored a signal that is not about this attempt")
        elif event.verdict not in _FINAL:
            self._poll_now = True
        elif self._verdict is None:
            self._verdict = PollAnswer(Verdict(event.verdict), event.code)
            self._inbox_id = event.inbox_id

    @workflow.signal(
        name=names.REQUEST_CANCEL, description="Stop and refund, unless the images are already being stored."
    )
    def request_cancel(self, *_: Any) -> None:
        self._cancel_requested = True

    @workflow.query(
        name=names.STATUS_QUERY,
        description="Stage, attempts, provider job id, and when the next poll is due.",
    )
    def status(self) -> Progress:
        return self._progress

    @property
    def _wants_cancel(self) -> bool:
        # The second half shows a Temporal cancel that was swallowed by a step ending at the same moment.
        return self._cancel_requested or workflow.cancellation_reason() is not None

    async def _story(self) -> Outcome:
        try:
            reservation = await steps.reserve(self._job.generation_id)
            return reservation.outcome or await self._generate()
        # Only these end a generation. Anything else is a bug: the task is retried until a fix is deployed,
        # and refunding meanwhile would give away an image that may yet arrive.
        except (FailureError, TimeoutError) as error:
            return await self._give_back(Ending(Status.FAILED, _code(error)))

    async def _generate(self) -> Outcome:
        answer = await self._submit()
        if isinstance(answer, Outcome):
            return answer
        if answer.state is SubmitState.REJECTED:
            return await self._give_back(Ending(Status.FAILED, answer.code))
        self._progress.provider_job_id = answer.job_id
        known = answer.state is SubmitState.ACCEPTED
        self._enter(Stage.GENERATING if known else Stage.SUBMIT_UNKNOWN)
        await self._wait_for_verdict()
        ending = self._ending_without_result(known=known)
        if ending is not None:
            return await self._give_back(ending)
        return await self._store_and_settle()

    async def _submit(self) -> SubmitAnswer | Outcome:
        """Submit, or leave the line if a cancel comes while still standing in it."""
        self._progress.attempts += 1
        self._enter(Stage.THROTTLED)
        submitting = asyncio.create_task(steps.submit(self._job, self._attempt))
        await workflow.wait_condition(lambda: submitting.done() or self._wants_cancel)
        if not submitting.done():
            # If this refunds, the submit that still stands in line will find the generation ended.
            ending = Ending(Status.CANCELED, unless_submitted=True)
            refund = await steps.refund(self._job.generation_id, ending)
            if refund.outcome is not None:
                return refund.outcome
        answer = await submitting
        if answer.outcome is not None:
            return answer.outcome
        if answer.state is SubmitState.CANCELED:
            return await self._give_back(Ending(Status.CANCELED))
        return answer

    async def _wait_for_verdict(self) -> None:
        """Until a webhook, a poll, a cancel or the deadline. The poll timer is always armed."""
        waits = self._job.waits
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
        return self._verdict is None and not self._wants_cancel

    async def _wait_until(self, next_poll: datetime, deadline: datetime) -> None:
        self._progress.waiting_until(next_poll, deadline)
        self._tell_operators()
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
        polling = asyncio.create_task(steps.fetch(self._job, self._attempt, self._progress.polls))
        await workflow.wait_condition(lambda: polling.done() or not self._is_waiting())
        if not polling.done():
            polling.cancel()
            return None
        try:
            answer = await polling
        except ActivityError as error:
            workflow.logger.warning("poll failed, will ask again: %s", _code(error))
            return None
        if answer.verdict in _FINAL and self._verdict is None:
            self._verdict = answer
        return answer.retry_after_seconds

    def _ending_without_result(self, *, known: bool) -> Ending | None:
        """How to end when there is nothing to store; None if there is a result.

        A cancel comes first: the client has been told that it was accepted.
        """
        attention = None if known or self._verdict is not None else SubmitUnknown.code
        if self._wants_cancel:
            return Ending(Status.CANCELED, attention=attention)
        if self._verdict is None:
            code = ProviderTimedOut.code if known else SubmitUnknown.code
            return Ending(Status.FAILED, code, attention=attention)
        if self._verdict.verdict is Verdict.FAILED:
            return Ending(Status.FAILED, self._verdict.code or ServiceError.code)
        return None

    async def _store_and_settle(self) -> Outcome:
        self._enter(Stage.STORING)
        stored = await steps.store(StoreRequest(self._attempt, self._inbox_id))
        if stored.outcome is not None:
            return stored.outcome
        if stored.state is StoreState.CANCELED:
            return await self._give_back(Ending(Status.CANCELED))
        self._enter(Stage.SETTLING)
        return await steps.settle(self._job.generation_id)

    async def _give_back(self, ending: Ending) -> Outcome:
        """Call the provider off if it may be at work, then refund."""
        at_work = self._progress.stage in (Stage.GENERATING, Stage.SUBMIT_UNKNOWN)
        if at_work and self._verdict is None:
            await _as_far_as_possible(steps.cancel(self._job, self._attempt))
        try:
            refund = await steps.refund(self._job.generation_id, ending)
        except FailureError as error:
            # Nobody's row: started by hand, with an id that was never accepted. There is nothing to refund.
            return Outcome(self._job.generation_id, Status.FAILED, _code(error))
        assert refund.outcome is not None
        return refund.outcome

    def _enter(self, stage: Stage) -> None:
        """The next stage, as operators see it: indexed where they search, told where they read."""
        self._progress.stage = stage
        if stage in (Stage.GENERATING, Stage.SUBMIT_UNKNOWN) or stage.status.is_terminal:
            workflow.upsert_search_attributes([_STAGE.value_set(stage.value)])
        self._tell_operators()

    def _tell_operators(self) -> None:
        self._progress.cancel_requested = self._wants_cancel
        workflow.set_current_details(self._progress.paragraph(self._job.provider))


async def _as_far_as_possible(step: Coroutine[Any, Any, bool]) -> None:
    """A courtesy to the provider, and to the bill; the refund does not depend on it."""
    try:
        await step
    except ActivityError as error:
        workflow.logger.warning("the provider could not be called off: %s", _code(error))


def _code(error: BaseException) -> str:
    """The failure's stable code, as the API reports it."""
    cause = steps.behind(error)
    if isinstance(cause, ApplicationError):
        return describe(cause.type or "").code
    if isinstance(cause, TemporalTimeout) and cause.type is TimeoutType.SCHEDULE_TO_START:
        return QueueTimedOut.code
    return ServiceError.code
