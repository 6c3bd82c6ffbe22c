"""One generation, from held credits to a settled charge or a refund."""

import asyncio
from datetime import datetime, timedelta
from typing import Any

from temporalio import workflow
from temporalio.exceptions import ActivityError, FailureError

from domain import temporal_names
from domain.credits import Reservation
from domain.errors import ContentRejected, ResultUnusable
from domain.generation import GenerationInput, Outcome, Stage, Status, TerminalState
from domain.moderation import ModeratedAt
from domain.provider import AttemptRef, ResultSignal, StoreRequest, StoreState
from workflows import steps
from workflows.attempt import Attempt, AttemptPlan, failure_code
from workflows.attempt_end import AttemptEnd
from workflows.client_deadlines import ClientDeadlines
from workflows.progress import Progress
from workflows.run_state import RunState


@workflow.defn(name=temporal_names.GENERATION_WORKFLOW)
class GenerationWorkflow:
    """reserve -> submit -> wait -> store -> settle; whatever ends it after the hold refunds.

    Workflow id: the generation id. A refund is an outcome: only a bug fails or stalls the workflow.
    Cancel and deadline are state that is checked between steps. Nothing ever interrupts a step, so a submit
    is never cut in flight and a money step always finishes.
    """

    @workflow.init
    def __init__(self, job: GenerationInput) -> None:
        self._job = job
        self._state = RunState(job.provider, ClientDeadlines(job))
        self._attempt = self._first_attempt()
        self._queue_deadline: datetime | None = None

    @workflow.run
    async def run(self, job: GenerationInput) -> Outcome:
        """Run the steps to a terminal state. Temporal's own cancel becomes state, like a client's."""
        self._state.deadlines.watch()
        running = asyncio.create_task(self._run_steps())
        while not running.done():
            try:
                await asyncio.shield(running)
            except asyncio.CancelledError:
                if running.done():  # the worker evicts the run from its cache and will replay it
                    raise
                self._state.request_cancel()
        outcome = running.result()
        self._state.set_stage(Stage(outcome.status))
        if outcome.status is Status.CANCELED and workflow.cancellation_reason() is not None:
            raise asyncio.CancelledError
        return outcome

    @workflow.signal(
        name=temporal_names.RESULT_SIGNAL,
        description="A provider's webhook has arrived; its row id and status.",
    )
    def on_result(self, *arguments: Any) -> None:
        event = ResultSignal.parse(arguments)
        if event is None or event.ordinal != self._attempt.ref.ordinal:
            workflow.logger.warning("ignored a signal that is not about this attempt")
        else:
            self._attempt.on_result(event)

    @workflow.signal(
        name=temporal_names.CANCEL_SIGNAL,
        description="Stop and refund, unless the images are already being stored.",
    )
    def on_cancel(self, *_: Any) -> None:
        self._state.request_cancel()

    @workflow.signal(
        name=temporal_names.SLOT_GRANTED_SIGNAL, description="This attempt has a slot at its provider."
    )
    def on_slot_granted(self, *arguments: Any) -> None:
        match arguments:
            case ({"ordinal": int(ordinal)},) if ordinal == self._attempt.ref.ordinal:
                self._attempt.on_slot_granted()
            case _:
                workflow.logger.warning("ignored a slot that is not this attempt's")

    @workflow.signal(
        name=temporal_names.PROVIDER_CLOSED_SIGNAL,
        description="The provider that this attempt waits for takes no jobs now.",
    )
    def on_provider_closed(self, *arguments: Any) -> None:
        match arguments:
            case ({"ordinal": int(ordinal)},) if ordinal == self._attempt.ref.ordinal:
                self._attempt.on_provider_closed()
            case _:
                workflow.logger.warning("ignored a closed provider that is not this attempt's")

    @workflow.query(
        name=temporal_names.STATUS_QUERY,
        description="Stage, attempts, provider job id, and when the next poll is due.",
    )
    def status(self) -> Progress:
        return self._state.progress

    async def _run_steps(self) -> Outcome:
        generation_id = self._job.generation_id
        try:
            if self._job.checks_input and (refusal := await self._check_input()):
                return await self._refund(refusal)
            reservation = await steps.reserve(generation_id, self._job.tenant_id)
            return reservation.outcome or await self._generate(reservation)
        # Only these end a generation. Anything else is a bug: the task is retried until a fix is deployed,
        # and refunding meanwhile would give away an image that may yet arrive.
        except (FailureError, TimeoutError) as error:
            return await self._refund(TerminalState(Status.FAILED, failure_code(error)))

    async def _check_input(self) -> TerminalState | None:
        """Return how the job ends if it may not go on: it is refused, or its client's time is over."""
        checking = asyncio.create_task(steps.check_input(self._job.generation_id))
        await workflow.wait_condition(lambda: checking.done() or self._state.deadlines.is_over)
        if not checking.done():
            checking.cancel()
            return self._state.early_end()
        if await checking:
            return None
        return TerminalState(Status.FAILED, ContentRejected.code, moderated_at=ModeratedAt.INPUT)

    async def _generate(self, reservation: Reservation) -> Outcome:
        self._queue_deadline = self._deadline_after(reservation)
        if reservation.closed:
            self._attempt.on_provider_closed()
        end = await self._attempt.run(waits_for_slot=reservation.waits, queue_deadline=self._queue_deadline)
        if self._job.fallback is not None and end.allows_fallback:
            assert end.failure is not None
            end = await self._run_fallback(left_because=end.failure.terminal_state.code)
        if end.outcome is not None:
            return end.outcome
        if end.failure is not None:
            return await self._refund(end.failure.terminal_state)
        return await self._store_and_settle()

    async def _run_fallback(self, left_because: str | None) -> AttemptEnd:
        """Try the other provider, once, with what the first did not take or failed without charging."""
        assert self._job.fallback is not None
        if self._state.deadlines.is_over and (early_end := self._state.early_end()):
            return AttemptEnd.without_result(early_end)
        self._state.start_fallback(self._job.fallback.provider)
        self._attempt = self._fallback_attempt()
        has_slot = await steps.request_slot(self._attempt.ref, left_because)
        return await self._attempt.run(waits_for_slot=not has_slot, queue_deadline=self._queue_deadline)

    def _deadline_after(self, reservation: Reservation) -> datetime | None:
        """Return until when a provider must have taken the job: one clock, over all attempts and resets.

        The database's clock says how much of the time is over; its hands are not compared with Temporal's.
        """
        if reservation.queued_seconds is None:
            return None
        left_seconds = self._job.waits.queue_timeout_seconds - reservation.queued_seconds
        return workflow.now() + timedelta(seconds=left_seconds)

    def _first_attempt(self) -> Attempt:
        plan = AttemptPlan(self._job.provider, self._job.waits, has_fallback=self._job.fallback is not None)
        return Attempt(AttemptRef(self._job.generation_id), plan, self._state)

    def _fallback_attempt(self) -> Attempt:
        assert self._job.fallback is not None
        plan = AttemptPlan(self._job.fallback.provider, self._job.fallback.waits)
        return Attempt(AttemptRef(self._job.generation_id, 2), plan, self._state)

    async def _store_and_settle(self) -> Outcome:
        self._state.deadlines.is_storing = True
        self._state.set_stage(Stage.STORING)
        try:
            stored = await steps.store(StoreRequest(self._attempt.ref, self._attempt.inbox_id))
        except ActivityError as error:
            # The provider was paid. What it sent may be useless; else somebody should look why it is lost.
            code = failure_code(error)
            attention = None if code == ResultUnusable.code else code
            return await self._refund(TerminalState(Status.FAILED, code, attention=attention))
        if stored.outcome is not None:
            return stored.outcome
        if stored.state is StoreState.CANCELED:
            return await self._refund(self._state.canceled())
        self._state.set_stage(Stage.SETTLING)
        return await steps.settle(self._job.generation_id)

    async def _refund(self, terminal_state: TerminalState) -> Outcome:
        """Cancel at the provider if it may be at work, then return the credits."""
        await self._attempt.cancel_at_provider()
        try:
            refund = await steps.refund(self._job.generation_id, terminal_state, self._attempt.provider)
        except FailureError as error:
            # Started by hand, with an id that was never accepted: there is no row and nothing to refund.
            return Outcome(self._job.generation_id, Status.FAILED, failure_code(error))
        assert refund.outcome is not None
        return refund.outcome
