"""One generation, from held credits to a settled charge or a refund."""

import asyncio
from typing import Any

from temporalio import workflow
from temporalio.common import SearchAttributeKey
from temporalio.exceptions import FailureError

with workflow.unsafe.imports_passed_through():
    from domain import names
    from domain.errors import ContentRejected
    from domain.generation import Ending, GenerationInput, Outcome, Stage, Status
    from domain.moderation import ModeratedAt
    from domain.provider import AttemptRef, ResultSignal, StoreRequest, StoreState
    from workflows import steps
    from workflows.attempt import Attempt, Failure, Plan, code_of
    from workflows.progress import Progress

_STAGE = SearchAttributeKey.for_keyword(names.STAGE_ATTRIBUTE)
_PROVIDER = SearchAttributeKey.for_keyword(names.PROVIDER_ATTRIBUTE)


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
        self._progress = Progress()
        self._cancel_requested = False
        self._attempt = self._try(AttemptRef(job.generation_id))

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
        event = ResultSignal.read(arguments)
        if event is None or event.ordinal != self._attempt.ref.ordinal:
            workflow.logger.warning("ignored a signal that is not about this attempt")
        else:
            self._attempt.hear(event)

    @workflow.signal(
        name=names.REQUEST_CANCEL, description="Stop and refund, unless the images are already being stored."
    )
    def request_cancel(self, *_: Any) -> None:
        self._cancel_requested = True

    @workflow.signal(name=names.GRANT_PLACE, description="The provider has a free place for this attempt.")
    def grant_place(self, *arguments: Any) -> None:
        match arguments:
            case ({"ordinal": int(ordinal)},) if ordinal == self._attempt.ref.ordinal:
                self._attempt.admit()
            case _:
                workflow.logger.warning("ignored a place that is not this attempt's")

    @workflow.query(
        name=names.STATUS_QUERY,
        description="Stage, attempts, provider job id, and when the next poll is due.",
    )
    def status(self) -> Progress:
        return self._progress

    def _wants_cancel(self) -> bool:
        # The second half shows a Temporal cancel that was swallowed by a step ending at the same moment.
        return self._cancel_requested or workflow.cancellation_reason() is not None

    async def _story(self) -> Outcome:
        try:
            if self._job.checks_input and not await steps.check_input(self._job.generation_id):
                ending = Ending(Status.FAILED, ContentRejected.code, moderated_at=ModeratedAt.INPUT)
                return await self._give_back(ending)
            reservation = await steps.reserve(self._job.generation_id)
            return reservation.outcome or await self._generate(waits_for_place=reservation.waits)
        # Only these end a generation. Anything else is a bug: the task is retried until a fix is deployed,
        # and refunding meanwhile would give away an image that may yet arrive.
        except (FailureError, TimeoutError) as error:
            return await self._give_back(Ending(Status.FAILED, code_of(error)))

    async def _generate(self, *, waits_for_place: bool) -> Outcome:
        ended = await self._attempt.run(waits_for_place=waits_for_place)
        if self._job.fallback is not None and isinstance(ended, Failure) and ended.may_go_elsewhere:
            ended = await self._generate_elsewhere()
        if isinstance(ended, Outcome):
            return ended
        if ended is not None:
            return await self._give_back(ended.ending)
        return await self._store_and_settle()

    async def _generate_elsewhere(self) -> Outcome | Failure | None:
        """The one other try: what the first provider did not take, or failed for free."""
        assert self._job.fallback is not None
        workflow.upsert_search_attributes([_PROVIDER.value_set(self._job.fallback.provider)])
        self._progress.goes_elsewhere()
        self._attempt = self._try(AttemptRef(self._job.generation_id, 2))
        has_place = await steps.ask_for_place(self._attempt.ref)
        return await self._attempt.run(waits_for_place=not has_place)

    def _try(self, ref: AttemptRef) -> Attempt:
        fallback = self._job.fallback
        if ref.ordinal == 1 or fallback is None:
            plan = Plan(self._job.provider, self._job.waits, has_fallback=fallback is not None)
        else:
            plan = Plan(fallback.provider, fallback.waits)
        return Attempt(
            self._job, ref, plan, self._progress, self._wants_cancel, self._enter, self._tell_operators
        )

    async def _store_and_settle(self) -> Outcome:
        self._enter(Stage.STORING)
        stored = await steps.store(StoreRequest(self._attempt.ref, self._attempt.inbox_id))
        if stored.outcome is not None:
            return stored.outcome
        if stored.state is StoreState.CANCELED:
            return await self._give_back(Ending(Status.CANCELED))
        self._enter(Stage.SETTLING)
        return await steps.settle(self._job.generation_id)

    async def _give_back(self, ending: Ending) -> Outcome:
        """Call the provider off if it may be at work, then refund."""
        await self._attempt.call_off()
        try:
            refund = await steps.refund(self._job.generation_id, ending, self._attempt.provider)
        except FailureError as error:
            # Nobody's row: started by hand, with an id that was never accepted. There is nothing to refund.
            return Outcome(self._job.generation_id, Status.FAILED, code_of(error))
        assert refund.outcome is not None
        return refund.outcome

    def _enter(self, stage: Stage) -> None:
        """The next stage, as operators see it: indexed where they search, told where they read."""
        self._progress.stage = stage
        if stage in (Stage.GENERATING, Stage.SUBMIT_UNKNOWN) or stage.status.is_terminal:
            workflow.upsert_search_attributes([_STAGE.value_set(stage.value)])
        self._tell_operators()

    def _tell_operators(self) -> None:
        self._progress.cancel_requested = self._wants_cancel()
        workflow.set_current_details(self._progress.paragraph(self._attempt.provider))
