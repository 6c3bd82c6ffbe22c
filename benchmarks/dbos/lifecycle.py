"""One generation on DBOS, from held credits to a settled charge or a refund."""

from benchmarks.dbos.attempt import Attempt, AttemptPlan
from benchmarks.dbos.steps import Steps, Timed
from domain.credits import Reservation
from domain.errors import ContentRejected, ResultUnusable, ServiceError
from domain.generation import GenerationInput, Outcome, Status, TerminalState
from domain.moderation import ModeratedAt
from domain.provider import AttemptRef, StoreRequest, StoreState
from workflows.attempt_end import AttemptEnd


class Lifecycle:
    """reserve -> submit -> wait -> store -> settle, as in workflows/generation.py.

    Every decision depends on recorded results and messages only, so that DBOS can recover it.
    """

    def __init__(self, steps: Steps, job: GenerationInput) -> None:
        self._steps = steps
        self._job = job
        self._attempt: Attempt | None = None

    async def run(self) -> Outcome:
        generation_id = self._job.generation_id
        try:
            if self._job.checks_input and not await self._steps.check_input(generation_id):
                return await self._refund(
                    TerminalState(Status.FAILED, ContentRejected.code, moderated_at=ModeratedAt.INPUT)
                )
            reservation = await self._steps.reserve(generation_id)
            return reservation.value.outcome or await self._generate(reservation)
        except ServiceError as error:
            return await self._refund(TerminalState(Status.FAILED, error.code))

    async def _generate(self, reservation: Timed[Reservation]) -> Outcome:
        waited_seconds = reservation.value.queued_seconds or 0.0
        deadline_seconds = reservation.at_seconds + self._job.waits.queue_timeout_seconds - waited_seconds
        has_fallback = self._job.fallback is not None
        ref = AttemptRef(self._job.generation_id)
        plan = AttemptPlan(ref, self._job.provider, self._job.waits, deadline_seconds, has_fallback)
        attempt = self._attempt = Attempt(self._steps, plan)
        end = await attempt.run(
            has_slot=not reservation.value.waits,
            is_closed=reservation.value.closed,
            now_seconds=reservation.at_seconds,
        )
        if has_fallback and end.allows_fallback:
            end, attempt = await self._run_fallback(attempt)
        if end.outcome is not None:
            return end.outcome
        if end.failure is not None:
            return await self._refund(end.failure.terminal_state)
        return await self._store_and_settle(attempt)

    async def _run_fallback(self, first: Attempt) -> tuple[AttemptEnd, Attempt]:
        """Try the other provider, once."""
        fallback = self._job.fallback
        assert fallback is not None
        ref = AttemptRef(self._job.generation_id, 2)
        plan = AttemptPlan(ref, fallback.provider, fallback.waits, first.plan.queue_deadline_seconds)
        attempt = self._attempt = Attempt(self._steps, plan, is_canceled=first.is_canceled)
        asked = await self._steps.request_slot(ref)
        end = await attempt.run(has_slot=asked.value, is_closed=False, now_seconds=asked.at_seconds)
        return end, attempt

    async def _store_and_settle(self, attempt: Attempt) -> Outcome:
        try:
            stored = await self._steps.store(StoreRequest(attempt.plan.ref, attempt.inbox_id))
        except ServiceError as error:
            attention = None if isinstance(error, ResultUnusable) else error.code
            return await self._refund(TerminalState(Status.FAILED, error.code, attention=attention))
        if stored.outcome is not None:
            return stored.outcome
        if stored.state is StoreState.CANCELED:
            return await self._refund(TerminalState(Status.CANCELED))
        return await self._steps.settle(self._job.generation_id)

    async def _refund(self, terminal_state: TerminalState) -> Outcome:
        """Cancel at the provider if it may be at work, then return the credits."""
        provider = self._job.provider
        if self._attempt is not None:
            await self._attempt.cancel_at_provider()
            provider = self._attempt.plan.provider
        refund = await self._steps.refund(self._job.generation_id, terminal_state, provider)
        assert refund.outcome is not None
        return refund.outcome
