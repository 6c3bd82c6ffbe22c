"""Credits in memory, which pass the same suites as those in PostgreSQL."""

from domain.credits import AccountKind, HoldState, Refund, Reservation, TransferKind
from domain.errors import ContentRejected, InsufficientCredits, ResultUnusable, WorkflowLost
from domain.generation import Outcome, Stage, Status, TerminalState
from tests.support.memory_books import MemoryBooks, Row


class MemoryLedger:
    """The Ledger port. No method awaits, so each is one transaction."""

    def __init__(self, books: MemoryBooks) -> None:
        self._books = books

    async def reserve(self, generation_id: str) -> Reservation:
        row = self._books.row(generation_id)
        if row.status.is_terminal:
            return Reservation(HoldState.ALREADY_TERMINAL, row.outcome())
        if row.cancel_requested:
            return Reservation(HoldState.CANCELED, self._end(row, TerminalState(Status.CANCELED)))
        if row.transfers:
            return Reservation(HoldState.HELD)
        price = row.request.price_credits
        if self._books.accounts[row.tenant_id][AccountKind.AVAILABLE] < price:
            row.enter(Stage.RESERVING)
            ending = TerminalState(Status.FAILED, InsufficientCredits.code)
            return Reservation(HoldState.INSUFFICIENT, self._end(row, ending))
        changes = {AccountKind.AVAILABLE: -price, AccountKind.HELD: price}
        self._books.move(row, TransferKind.HOLD, price, changes)
        row.enter(Stage.THROTTLED)
        return Reservation(HoldState.HELD)

    async def settle(self, generation_id: str) -> Outcome:
        row = self._books.row(generation_id)
        if row.status.is_terminal:
            return row.outcome()
        if not row.images:
            raise ResultUnusable("settle without a stored image")
        held, n = row.held_credits, row.request.n
        charged = row.request.price_credits * min(len(row.images), n) // n
        row.charged_credits = charged
        changes = {
            AccountKind.AVAILABLE: held - charged,
            AccountKind.HELD: -held,
            AccountKind.SPENT: charged,
        }
        self._books.move(row, TransferKind.SETTLE, charged, changes)
        row.enter(Stage.COMPLETED)
        return row.outcome()

    async def refund(self, generation_id: str, ending: TerminalState) -> Refund:
        row = self._books.row(generation_id)
        if row.status.is_terminal:
            return Refund(row.outcome())
        records = row.records.values()
        submitted = any(each.state in ("sending", "accepted") and not each.is_free for each in records)
        if ending.unless_submitted and submitted:
            return Refund(None, submitted=True)
        return Refund(self._end(row, ending))

    def _end(self, row: Row, ending: TerminalState) -> Outcome:
        held, refuses = row.held_credits, row.request.charges_rejected
        if row.transfers and refuses and ending.code == ContentRejected.code:
            row.charged_credits = held
            changes = {AccountKind.HELD: -held, AccountKind.SPENT: held}
            self._books.move(row, TransferKind.SETTLE, held, changes)
        elif row.transfers:
            kind = TransferKind.EXPIRE if ending.code == WorkflowLost.code else TransferKind.REFUND
            changes = {AccountKind.AVAILABLE: held, AccountKind.HELD: -held}
            self._books.move(row, kind, held, changes)
        if ending.status is Status.FAILED:
            row.code, row.error_stage = ending.code, ending.moderated_at or row.stage
        row.attention = ending.attention or row.attention
        row.enter(Stage(ending.status))
        return row.outcome()
