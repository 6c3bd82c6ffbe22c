"""All rows in memory. The ports that stand on them share them, as the adapters share a database."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from domain.credits import AccountKind, Balance, TransferKind
from domain.errors import GenerationNotFound, TooLateToCancel
from domain.generation import (
    Generation,
    GenerationError,
    GenerationRequest,
    Image,
    Outcome,
    Stage,
    Status,
    Undelivered,
)
from domain.moderation import ModeratedAt
from domain.ports import WebhookReceipt
from domain.provider import (
    AttemptRef,
    JobStatus,
    ProviderCost,
    ProviderEvent,
    ProviderJob,
    ProviderResult,
    ResultSignal,
)
from tests.support.requests import NOW

_FINAL = (JobStatus.SUCCEEDED, JobStatus.FAILED)


@dataclass
class Record:
    """A row of the attempts table."""

    state: str = "sending"
    job: ProviderJob | None = None
    code: str | None = None
    moderated_at: ModeratedAt | None = None
    result: ProviderResult | None = None
    images: tuple[Image, ...] = ()
    cost: ProviderCost | None = None
    is_free: bool = False
    is_late: bool = False
    sends: int = 0


@dataclass(frozen=True)
class Transfer:
    """A row of the transfers table with its entries, by account."""

    tenant_id: str
    generation_id: str | None
    kind: TransferKind
    amount_credits: int
    changes: Mapping[AccountKind, int]


@dataclass
class Kept:
    """A row of the inbox table."""

    attempt: AttemptRef
    event: ProviderEvent
    received: WebhookReceipt


@dataclass
class Row:
    """A row of the generations table, with its attempts, its images and the kinds of its transfers."""

    id: str
    tenant_id: str
    request: GenerationRequest
    stage: Stage = Stage.CREATED
    stages: list[Stage] = field(default_factory=list)
    cancel_requested: bool = False
    transfers: list[TransferKind] = field(default_factory=list)
    charged_credits: int = 0
    code: str | None = None
    error_stage: Stage | ModeratedAt = Stage.CREATED
    attention: str | None = None
    records: dict[int, Record] = field(default_factory=dict)
    begun: list[int] = field(default_factory=list)
    images: tuple[Image, ...] = ()
    undelivered: tuple[Undelivered, ...] = ()
    expects_objects: bool = False

    @property
    def status(self) -> Status:
        return self.stage.status

    @property
    def held_credits(self) -> int:
        return self.request.price_credits if TransferKind.HOLD in self.transfers else 0

    def enter(self, stage: Stage) -> None:
        self.stage = stage
        self.stages.append(stage)

    def asked_of(self, ordinal: int) -> GenerationRequest:
        """The request as the provider of this attempt takes it."""
        asked, other = replace(self.request, fallback=None), self.request.fallback
        if ordinal == 1 or other is None:
            return asked
        return replace(
            asked,
            model=other.model,
            provider=other.provider,
            endpoint=other.endpoint,
            parameters=other.parameters,
        )

    def note(self, ordinal: int, result: ProviderResult, images: Sequence[Image] = ()) -> None:
        """What an attempt's provider said in the end."""
        record = self.records[ordinal]
        is_news = record.result is None or (record.does_not_charge and not result.does_not_charge)
        record.result, record.images, record.code = result, tuple(images), result.code
        record.moderated_at, record.does_not_charge = result.moderated_at, result.does_not_charge
        record.cost = result.cost or record.cost
        if is_news:
            record.is_late = record.is_late or self._is_past(ordinal)

    def note_webhook(self, ordinal: int, result: ProviderResult) -> None:
        """What has been noted before stands, but for this: what was free may turn out to be charged."""
        record = self.records[ordinal]
        if record.result is None:
            self.note(ordinal, result)
        elif record.does_not_charge and not result.does_not_charge:
            record.is_free, record.cost = False, result.cost or record.cost
            record.is_late = record.is_late or self._is_past(ordinal)

    def _is_past(self, ordinal: int) -> bool:
        return self.status.is_terminal or self.begun[-1] != ordinal

    def outcome(self) -> Outcome:
        return self.generation().outcome

    def generation(self) -> Generation:
        return Generation(
            id=self.id,
            tenant_id=self.tenant_id,
            request=replace(self.request, fallback=self.asked_of(2) if self.request.fallback else None),
            status=self.status,
            stage=self.stage,
            error=GenerationError(self.code, self.error_stage) if self.code else None,
            cancel_requested=self.cancel_requested,
            needs_attention=self.attention,
            held_credits=self.held_credits,
            charged_credits=self.charged_credits,
            refunded_credits=self.held_credits - self.charged_credits if self.status.is_terminal else 0,
            created_at=NOW,
            queued_at=None,
            processing_at=None,
            finished_at=NOW if self.status.is_terminal else None,
            images=self.images if self.status is Status.COMPLETED else (),
            undelivered=self.undelivered,
        )


class MemoryBooks:
    """Every tenant's accounts, transfers and generations, and the inbox."""

    def __init__(self) -> None:
        self.rows: dict[str, Row] = {}
        self.accounts: dict[str, dict[AccountKind, int]] = {}
        self.journal: list[Transfer] = []
        self.inbox: dict[tuple[str, str], Kept] = {}

    def grant(self, tenant_id: str, amount_credits: int) -> None:
        self.accounts.setdefault(tenant_id, dict.fromkeys(AccountKind, 0))
        changes = {AccountKind.AVAILABLE: amount_credits, AccountKind.ISSUED: -amount_credits}
        self._post(Transfer(tenant_id, None, TransferKind.GRANT, amount_credits, changes))

    def add(self, generation_id: str, tenant_id: str, request: GenerationRequest) -> Row:
        self.rows[generation_id] = Row(generation_id, tenant_id, request)
        return self.rows[generation_id]

    def row(self, generation_id: str) -> Row:
        try:
            return self.rows[generation_id]
        except KeyError:
            raise GenerationNotFound from None

    def request_cancel(self, generation_id: str) -> None:
        row = self.row(generation_id)
        if row.status is Status.CANCELED:
            return
        if row.status.is_terminal or row.stage in (Stage.STORING, Stage.SETTLING):
            raise TooLateToCancel
        row.cancel_requested = True

    def keep(
        self, provider: str, attempt: AttemptRef, event: ProviderEvent, *, genuine: bool
    ) -> WebhookReceipt:
        """Put an event into the inbox, unless it is there. What is not genuine only asks for a check."""
        verdict, code = (event.result.status, event.result.code) if genuine else (JobStatus.CHECK, None)
        at = event.result.moderated_at if genuine else None
        is_free = genuine and event.result.does_not_charge
        signal = ResultSignal(len(self.inbox) + 1, attempt.ordinal, verdict, code, at, is_free)
        kept = Kept(attempt, event, WebhookReceipt(signal, attempt.generation_id, relayed=False))
        row, is_new = self.row(attempt.generation_id), (provider, event.event_id) not in self.inbox
        if is_new and genuine and verdict in _FINAL and attempt.ordinal in row.records:
            row.note_webhook(attempt.ordinal, event.result)
        return self.inbox.setdefault((provider, event.event_id), kept).received

    def kept(self, attempt: AttemptRef) -> list[Kept]:
        """The webhooks that came through the attempt's own address, oldest first."""
        return [kept for kept in self.inbox.values() if kept.attempt == attempt]

    def balance(self, tenant_id: str) -> Balance:
        accounts = self.accounts[tenant_id]
        return Balance(
            accounts[AccountKind.AVAILABLE], accounts[AccountKind.HELD], accounts[AccountKind.SPENT]
        )

    def move(self, row: Row, kind: TransferKind, amount: int, changes: Mapping[AccountKind, int]) -> None:
        """A transfer of a generation. Refuses what the database would refuse."""
        wanted = [] if kind is TransferKind.HOLD else [TransferKind.HOLD]
        assert row.transfers == wanted, "a hold is taken once and resolved once"
        row.transfers.append(kind)
        self._post(Transfer(row.tenant_id, row.id, kind, amount, changes))

    def _post(self, transfer: Transfer) -> None:
        assert sum(transfer.changes.values()) == 0
        accounts = self.accounts[transfer.tenant_id]
        for account, amount in transfer.changes.items():
            accounts[account] += amount
            assert accounts[account] >= 0 or account is AccountKind.ISSUED, "an overdraft"
        self.journal.append(transfer)
