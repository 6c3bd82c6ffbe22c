"""Generations, credits and attempts in memory. They keep the promises of the PostgreSQL ones: both pass
the suites of tests/contracts."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from domain.credits import AccountKind, Balance, HoldState, Refund, Reservation, TransferKind
from domain.errors import GenerationNotFound, InsufficientCredits, ResultUnusable, WorkflowLost
from domain.generation import (
    Ending,
    Generation,
    GenerationRequest,
    Image,
    Outcome,
    Problem,
    Stage,
    Status,
)
from domain.ports import Storing
from domain.provider import (
    AttemptRef,
    ProviderEvent,
    ProviderJob,
    ProviderResult,
    ResultFile,
    SubmitAnswer,
    SubmitState,
    Verdict,
)
from tests.support.requests import NOW


@dataclass
class Record:
    """A row of the attempts table."""

    state: str = "sending"
    job: ProviderJob | None = None
    code: str | None = None
    result: ProviderResult | None = None
    sends: int = 1


@dataclass
class Row:
    """A row of the generations table, with its transfers, attempts, webhooks and images."""

    id: str
    tenant_id: str
    request: GenerationRequest
    stage: Stage = Stage.CREATED
    stages: list[Stage] = field(default_factory=list)
    cancel_requested: bool = False
    transfers: list[TransferKind] = field(default_factory=list)
    charged_credits: int = 0
    code: str | None = None
    error_stage: Stage = Stage.CREATED
    attention: str | None = None
    records: dict[int, Record] = field(default_factory=dict)
    events: list[ProviderEvent] = field(default_factory=list)
    images: tuple[Image, ...] = ()

    @property
    def status(self) -> Status:
        return self.stage.status

    @property
    def held_credits(self) -> int:
        return self.request.price_credits if TransferKind.HOLD in self.transfers else 0

    def enter(self, stage: Stage) -> None:
        self.stage = stage
        self.stages.append(stage)

    def outcome(self) -> Outcome:
        delivered = len(self.images) if self.status is Status.COMPLETED else 0
        return Outcome(self.id, self.status, self.code, self.charged_credits, delivered)

    def generation(self) -> Generation:
        return Generation(
            id=self.id,
            tenant_id=self.tenant_id,
            request=self.request,
            status=self.status,
            stage=self.stage,
            problem=Problem(self.code, self.error_stage) if self.code else None,
            cancel_requested=self.cancel_requested,
            needs_attention=self.attention,
            held_credits=self.held_credits,
            charged_credits=self.charged_credits,
            refunded_credits=self.held_credits - self.charged_credits if self.status.is_terminal else 0,
            created_at=NOW,
            queued_at=None,
            processing_at=None,
            finished_at=NOW if self.status.is_terminal else None,
            images=self.images,
        )


class MemoryBooks:
    """All rows, and every tenant's accounts."""

    def __init__(self) -> None:
        self.rows: dict[str, Row] = {}
        self.accounts: dict[str, dict[AccountKind, int]] = {}

    def grant(self, tenant_id: str, amount_credits: int) -> None:
        accounts = self.accounts.setdefault(tenant_id, dict.fromkeys(AccountKind, 0))
        accounts[AccountKind.AVAILABLE] += amount_credits
        accounts[AccountKind.ISSUED] -= amount_credits

    def add(self, generation_id: str, tenant_id: str, request: GenerationRequest) -> Row:
        self.rows[generation_id] = Row(generation_id, tenant_id, request)
        return self.rows[generation_id]

    def row(self, generation_id: str) -> Row:
        try:
            return self.rows[generation_id]
        except KeyError:
            raise GenerationNotFound from None

    def balance(self, tenant_id: str) -> Balance:
        accounts = self.accounts[tenant_id]
        return Balance(
            accounts[AccountKind.AVAILABLE], accounts[AccountKind.HELD], accounts[AccountKind.SPENT]
        )

    def move(self, row: Row, kind: TransferKind, changes: dict[AccountKind, int]) -> None:
        if kind is not TransferKind.HOLD:
            assert len(row.transfers) == 1, "a hold is resolved once"
        assert sum(changes.values()) == 0
        row.transfers.append(kind)
        for account, amount in changes.items():
            self.accounts[row.tenant_id][account] += amount
        assert self.accounts[row.tenant_id][AccountKind.AVAILABLE] >= 0


class MemoryLedger:
    """The Ledger port. No method awaits, so each is one transaction."""

    def __init__(self, books: MemoryBooks) -> None:
        self._books = books

    async def reserve(self, generation_id: str) -> Reservation:
        row = self._books.row(generation_id)
        if row.status.is_terminal:
            return Reservation(HoldState.ALREADY_TERMINAL, row.outcome())
        if row.cancel_requested:
            return Reservation(HoldState.CANCELED, self._end(row, Ending(Status.CANCELED)))
        if row.transfers:
            return Reservation(HoldState.HELD)
        price = row.request.price_credits
        if self._books.accounts[row.tenant_id][AccountKind.AVAILABLE] < price:
            row.enter(Stage.RESERVING)
            ending = Ending(Status.FAILED, InsufficientCredits.code)
            return Reservation(HoldState.INSUFFICIENT, self._end(row, ending))
        self._books.move(row, TransferKind.HOLD, {AccountKind.AVAILABLE: -price, AccountKind.HELD: price})
        row.enter(Stage.THROTTLED)
        return Reservation(HoldState.HELD)

    async def settle(self, generation_id: str) -> Outcome:
        row = self._books.row(generation_id)
        if row.status.is_terminal:
            return row.outcome()
        if not row.images:
            raise ResultUnusable("settle without a stored image")
        held, n = row.held_credits, row.request.n
        row.charged_credits = row.request.price_credits * min(len(row.images), n) // n
        self._books.move(
            row,
            TransferKind.SETTLE,
            {
                AccountKind.AVAILABLE: held - row.charged_credits,
                AccountKind.HELD: -held,
                AccountKind.SPENT: row.charged_credits,
            },
        )
        row.enter(Stage.COMPLETED)
        return row.outcome()

    async def refund(self, generation_id: str, ending: Ending) -> Refund:
        row = self._books.row(generation_id)
        if row.status.is_terminal:
            return Refund(row.outcome())
        submitted = any(record.state in ("sending", "accepted") for record in row.records.values())
        if ending.unless_submitted and submitted:
            return Refund(None, submitted=True)
        return Refund(self._end(row, ending))

    def _end(self, row: Row, ending: Ending) -> Outcome:
        if row.transfers:
            held = row.held_credits
            kind = TransferKind.EXPIRE if ending.code == WorkflowLost.code else TransferKind.REFUND
            self._books.move(row, kind, {AccountKind.AVAILABLE: held, AccountKind.HELD: -held})
        if ending.status is Status.FAILED:
            row.code, row.error_stage = ending.code, row.stage
        row.attention = ending.attention or row.attention
        row.enter(Stage(ending.status))
        return row.outcome()


class MemoryAttempts:
    """The Attempts port."""

    def __init__(self, books: MemoryBooks) -> None:
        self._books = books

    async def begin(self, attempt: AttemptRef) -> SubmitAnswer | GenerationRequest:
        row = self._books.row(attempt.generation_id)
        record = row.records.get(attempt.ordinal)
        if row.status.is_terminal:
            return SubmitAnswer(SubmitState.ALREADY_TERMINAL, outcome=row.outcome())
        if record is not None and record.state == "accepted":
            assert record.job is not None
            return SubmitAnswer(SubmitState.ACCEPTED, job_id=record.job.job_id)
        if record is not None and record.state == "rejected":
            return SubmitAnswer(SubmitState.REJECTED, code=record.code)
        if record is not None and record.state == "sending":
            return self._unknown(row, attempt)
        if row.cancel_requested:
            return SubmitAnswer(SubmitState.CANCELED)
        sends = record.sends + 1 if record is not None else 1
        row.records[attempt.ordinal] = Record(sends=sends)
        row.enter(Stage.SUBMITTING)
        return row.request

    async def accepted(self, attempt: AttemptRef, job: ProviderJob) -> None:
        row, record = self._record(attempt)
        record.state, record.job = "accepted", job
        if row.stage in (Stage.SUBMITTING, Stage.SUBMIT_UNKNOWN):
            row.enter(Stage.GENERATING)

    async def rejected(self, attempt: AttemptRef, code: str, provider_message: str) -> None:
        _, record = self._record(attempt)
        record.state, record.code = "rejected", code

    async def not_sent(self, attempt: AttemptRef) -> None:
        self._record(attempt)[1].state = "not_sent"

    async def unknown(self, attempt: AttemptRef) -> SubmitAnswer:
        row, _ = self._record(attempt)
        if row.status.is_terminal:
            return SubmitAnswer(SubmitState.ALREADY_TERMINAL, outcome=row.outcome())
        return self._unknown(row, attempt)

    async def job(self, attempt: AttemptRef) -> tuple[GenerationRequest, ProviderJob | None]:
        row, record = self._record(attempt)
        if record.state == "sending":
            self._adopt(row, record)
        return row.request, record.job

    async def record_result(self, attempt: AttemptRef, result: ProviderResult) -> None:
        self._record(attempt)[1].result = result

    def _record(self, attempt: AttemptRef) -> tuple[Row, Record]:
        row = self._books.row(attempt.generation_id)
        if attempt.ordinal not in row.records:
            raise GenerationNotFound("no such attempt")
        return row, row.records[attempt.ordinal]

    def _unknown(self, row: Row, attempt: AttemptRef) -> SubmitAnswer:
        record = row.records[attempt.ordinal]
        if self._adopt(row, record):
            assert record.job is not None
            return SubmitAnswer(SubmitState.ACCEPTED, job_id=record.job.job_id)
        if row.stage is Stage.SUBMITTING:
            row.enter(Stage.SUBMIT_UNKNOWN)
        return SubmitAnswer(SubmitState.UNKNOWN)

    def _adopt(self, row: Row, record: Record) -> bool:
        if not row.events:
            return False
        record.state, record.job = "accepted", ProviderJob(row.events[0].job_id, {})
        if row.stage in (Stage.SUBMITTING, Stage.SUBMIT_UNKNOWN):
            row.enter(Stage.GENERATING)
        return True


class MemoryAssets:
    """The Assets port."""

    def __init__(self, books: MemoryBooks) -> None:
        self._books = books

    async def begin_storing(self, attempt: AttemptRef, inbox_id: int | None) -> Storing | Outcome | None:
        row = self._books.row(attempt.generation_id)
        if row.status.is_terminal:
            return row.outcome()
        if row.stage not in (Stage.STORING, Stage.SETTLING):
            if row.cancel_requested:
                return None
            row.enter(Stage.STORING)
        return Storing(row.generation(), self._files(row, attempt), row.images)

    async def finish_storing(self, generation_id: str, images: Sequence[Image]) -> bool:
        row = self._books.row(generation_id)
        if row.images:
            return True
        if row.status.is_terminal:
            return False
        row.images = tuple(images)
        row.enter(Stage.SETTLING)
        return True

    def _files(self, row: Row, attempt: AttemptRef) -> tuple[ResultFile, ...]:
        record = row.records.get(attempt.ordinal)
        if record is not None and record.result is not None and record.result.files:
            return record.result.files
        for event in row.events:
            if event.result.verdict is Verdict.SUCCEEDED:
                return event.result.files
        return ()
