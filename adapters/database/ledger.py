"""Two-phase credits in double entry.

Every step locks the generation row first, then the tenant's accounts in the order of their ids. The
unique index `transfers_one_resolution` is what makes a second resolution impossible; the checks below
only turn a repeat into the stored outcome instead of an error.
"""

from sqlalchemy import bindparam, exists, func, select, text
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from adapters.database.engine import Database
from adapters.database.tables import AccountRow, AttemptRow, GenerationRow, ImageRow, TransferRow
from adapters.database.tables.mapping import is_terminal, locked_generation, outcome_of, set_stage
from adapters.database.undelivered import charge_undelivered, count_uncharged
from domain.attempt import AttemptState
from domain.credits import AccountKind, HoldState, Refund, Reservation, TransferKind
from domain.errors import ContentRejected, InsufficientCredits, ResultUnusable, WorkflowLost
from domain.generation import Outcome, Stage, Status, TerminalState

Changes = dict[AccountKind, int]

_BALANCES = (
    select(col(AccountRow.kind), col(AccountRow.balance_credits))
    .where(col(AccountRow.tenant_id) == bindparam("tenant"))
    .order_by(col(AccountRow.id))
    .with_for_update()
)
_TRANSFER = select(exists().where(col(TransferRow.id) == bindparam("id")))
_DELIVERED = select(func.count()).select_from(ImageRow).where(col(ImageRow.generation_id) == bindparam("id"))
_QUEUED_SECONDS = select(func.extract("epoch", func.clock_timestamp() - col(GenerationRow.queued_at))).where(
    col(GenerationRow.id) == bindparam("id")
)

# One statement, because the database checks that the rows of a statement balance.
_MOVE = text("""
    WITH moved AS (
        UPDATE accounts SET balance_credits = balance_credits + change.amount
        FROM unnest(CAST(:accounts AS text[]), CAST(:amounts AS bigint[]))
            WITH ORDINALITY AS change (account_id, amount, position)
        WHERE accounts.id = change.account_id
        RETURNING change.*, accounts.balance_credits
    )
    INSERT INTO entries (transfer_id, account_id, amount_credits, balance_after)
    SELECT CAST(:transfer AS text), account_id, amount, balance_credits FROM moved ORDER BY position
""")


class PostgresLedger:
    """Holds, charges and refunds, each safe to repeat and to race with any other."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def reserve(self, generation_id: str) -> Reservation:
        async with self._database.begin() as session:
            row = await locked_generation(session, generation_id)
            if is_terminal(row):
                return Reservation(HoldState.ALREADY_TERMINAL, await outcome_of(session, row))
            if row.cancel_requested_at is not None:
                outcome = await _end(session, row, TerminalState(Status.CANCELED))
                return Reservation(HoldState.CANCELED, outcome)
            if await session.scalar(_TRANSFER, {"id": hold_id(row.id)}):
                queued_seconds = await session.scalar(_QUEUED_SECONDS, {"id": row.id})
                return Reservation(HoldState.HELD, queued_seconds=float(queued_seconds or 0))
            balances = await locked_balances(session, row.tenant_id)
            if balances[AccountKind.AVAILABLE] < row.price_credits:
                set_stage(row, Stage.RESERVING)
                terminal_state = TerminalState(Status.FAILED, InsufficientCredits.code)
                return Reservation(HoldState.INSUFFICIENT, await _end(session, row, terminal_state))
            price = row.price_credits
            row.held_credits = price
            set_stage(row, Stage.THROTTLED)
            changes = {AccountKind.AVAILABLE: -price, AccountKind.HELD: price}
            await _transfer(session, row, TransferKind.HOLD, price, changes)
            return Reservation(HoldState.HELD, queued_seconds=0.0)

    async def settle(self, generation_id: str) -> Outcome:
        """Raises ResultUnusable if nothing is stored: what is not delivered is not charged."""
        async with self._database.begin() as session:
            row = await locked_generation(session, generation_id)
            if is_terminal(row):
                return await outcome_of(session, row)
            delivered = await session.scalar(_DELIVERED, {"id": row.id})
            if not delivered:
                raise ResultUnusable("settle without a stored image")
            return await _settle(session, row, delivered)

    async def refund(self, generation_id: str, terminal_state: TerminalState) -> Refund:
        async with self._database.begin() as session:
            row = await locked_generation(session, generation_id)
            if is_terminal(row):
                return Refund(await outcome_of(session, row))
            if terminal_state.unless_submitted and await _may_be_submitted(session, row.id):
                return Refund(None, submitted=True)
            return Refund(await _end(session, row, terminal_state))

    async def end_lost(self, generation_id: str, terminal_state: TerminalState) -> Outcome | None:
        async with self._database.begin() as session:
            row = await locked_generation(session, generation_id)
            if is_terminal(row):
                return None
            if delivered := await session.scalar(_DELIVERED, {"id": row.id}):
                return await _settle(session, row, delivered)
            return await _end(session, row, terminal_state)


def hold_id(generation_id: str) -> str:
    return f"{generation_id}:{TransferKind.HOLD}"


def account_id(tenant_id: str, kind: AccountKind) -> str:
    return f"{tenant_id}:{kind}"


async def locked_balances(session: AsyncSession, tenant_id: str) -> dict[AccountKind, int]:
    """Lock a tenant's balances until the transaction ends; empty for an unknown tenant."""
    return {
        AccountKind(kind): balance
        for kind, balance in await session.execute(_BALANCES, {"tenant": tenant_id})
    }


async def post(session: AsyncSession, transfer: TransferRow, changes: Changes) -> None:
    """Write a transfer, its entries and the new balances. The accounts must be locked."""
    session.add(transfer)
    await session.flush()
    # An account without a change gets no entry, unless the whole transfer is of zero credits.
    moved = {kind: amount for kind, amount in changes.items() if amount} or changes
    accounts = [account_id(transfer.tenant_id, kind) for kind in moved]
    await session.execute(
        _MOVE, {"transfer": transfer.id, "accounts": accounts, "amounts": list(moved.values())}
    )


async def _transfer(
    session: AsyncSession, row: GenerationRow, kind: TransferKind, amount: int, changes: Changes
) -> None:
    if kind is not TransferKind.HOLD:
        await locked_balances(session, row.tenant_id)
    transfer = TransferRow(
        id=f"{row.id}:{kind}",
        tenant_id=row.tenant_id,
        kind=kind,
        hold_id=hold_id(row.id),
        generation_id=row.id,
        amount_credits=amount,
    )
    await post(session, transfer, changes)


async def _settle(session: AsyncSession, row: GenerationRow, delivered: int) -> Outcome:
    """Charge for the images that are stored, and return the rest of the hold."""
    charged = row.price_credits * min(delivered, row.n) // row.n
    returned = row.held_credits - charged
    changes = {
        AccountKind.AVAILABLE: returned,
        AccountKind.HELD: -row.held_credits,
        AccountKind.SPENT: charged,
    }
    row.charged_credits, row.refunded_credits = charged, returned
    # Images that the provider had made, or looked at, and refused: nobody pays for them.
    refused = sum(code == ContentRejected.code for _, code in row.undelivered)
    if uncharged := row.price_credits * min(refused, row.n) // row.n:
        await count_uncharged(session, row.tenant_id, uncharged)
    set_stage(row, Stage.COMPLETED)
    await _transfer(session, row, TransferKind.SETTLE, charged, changes)
    return Outcome(row.id, Status.COMPLETED, None, charged, delivered)


async def _end(session: AsyncSession, row: GenerationRow, terminal_state: TerminalState) -> Outcome:
    """Return the hold, if there is one, and record how the generation ended."""
    held = row.held_credits
    holds = await session.scalar(_TRANSFER, {"id": hold_id(row.id)})
    if terminal_state.status is Status.FAILED:
        row.error_code, row.error_stage = terminal_state.code, terminal_state.moderated_at or row.stage
    row.needs_attention = terminal_state.attention or row.needs_attention
    charged = await charge_undelivered(session, row, terminal_state) if holds else 0
    row.charged_credits, row.refunded_credits = charged, held - charged
    set_stage(row, Stage(terminal_state.status))
    if charged:
        changes = {
            AccountKind.AVAILABLE: held - charged,
            AccountKind.HELD: -held,
            AccountKind.SPENT: charged,
        }
        await _transfer(session, row, TransferKind.SETTLE, charged, changes)
    elif holds:
        kind = TransferKind.EXPIRE if terminal_state.code == WorkflowLost.code else TransferKind.REFUND
        changes = {AccountKind.AVAILABLE: held, AccountKind.HELD: -held}
        await _transfer(session, row, kind, held, changes)
    return Outcome(row.id, terminal_state.status, terminal_state.code, charged)


async def _may_be_submitted(session: AsyncSession, generation_id: str) -> bool:
    """Return whether a provider may have the job, and may bill it."""
    return bool(
        await session.scalar(
            select(
                exists().where(
                    col(AttemptRow.generation_id) == generation_id,
                    col(AttemptRow.state).in_([state for state in AttemptState if state.may_be_charged]),
                )
            )
        )
    )
