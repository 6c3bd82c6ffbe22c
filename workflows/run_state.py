"""What a generation's workflow and its attempts share: what ends it early, and the status for operators."""

from temporalio import workflow
from temporalio.common import SearchAttributeKey

from domain import temporal_names
from domain.controls import CanceledBy
from domain.errors import NotStartedInTime
from domain.generation import Stage, Status, TerminalState
from workflows.client_deadlines import ClientDeadlines
from workflows.progress import Progress

_STAGE = SearchAttributeKey.for_keyword(temporal_names.STAGE_ATTRIBUTE)
_PROVIDER = SearchAttributeKey.for_keyword(temporal_names.PROVIDER_ATTRIBUTE)


class RunState:
    """The state of one run. `provider` is the one that the current attempt goes to."""

    def __init__(self, provider: str, deadlines: ClientDeadlines) -> None:
        self.progress = Progress()
        self.provider = provider
        self.deadlines = deadlines
        self._cancel_requested = False

    @property
    def cancel_requested(self) -> bool:
        return self._is_stopped or self.deadlines.is_cancel_due

    @property
    def _is_stopped(self) -> bool:
        # The second half reveals a Temporal cancel that was swallowed by a step ending at the same moment.
        return self._cancel_requested or workflow.cancellation_reason() is not None

    def request_cancel(self) -> None:
        self._cancel_requested = True

    def canceled(self, attention: str | None = None) -> TerminalState:
        """Return the end of a job that is canceled, by whomever."""
        is_by_deadline = self.deadlines.is_cancel_due and not self._is_stopped
        code = CanceledBy.DEADLINE if is_by_deadline else None
        return TerminalState(Status.CANCELED, code, attention=attention)

    def early_end(self) -> TerminalState | None:
        """Return how the job ends without a provider; None if it may go on."""
        if self.cancel_requested:
            return self.canceled()
        if self.deadlines.is_start_overdue:
            return TerminalState(Status.FAILED, NotStartedInTime.code)
        return None

    def set_stage(self, stage: Stage) -> None:
        """Enter a stage: index it where operators search, publish it where they read."""
        self.progress.stage = stage
        if stage in (Stage.GENERATING, Stage.SUBMIT_UNKNOWN) or stage.status.is_terminal:
            workflow.upsert_search_attributes([_STAGE.value_set(stage.value)])
        self.publish_status()

    def start_fallback(self, provider: str) -> None:
        """Go on at another provider."""
        workflow.upsert_search_attributes([_PROVIDER.value_set(provider)])
        self.progress.reset_for_fallback()
        self.provider = provider

    def publish_status(self) -> None:
        """Show the current status in the Temporal UI."""
        self.progress.cancel_requested = self.cancel_requested
        workflow.set_current_details(self.progress.describe(self.provider))
