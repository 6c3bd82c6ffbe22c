"""Credits as tenants read them and operators grant them."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import ScalarSelect, case, func, literal, select, text, tuple_
from sqlalchemy.orm import aliased
from sqlmodel import col

from adapters.database.audit import record
from adapters.database.engine import Database
from adapters.database.lots import PostgresLots
from adapters.database.tables import AccountRow, EntryRow, LotEntryRow, TransferRow
from domain.audit import SYSTEM, Actor, AuditAction
from domain.credits import AccountKind, Balance, Entry, Expiry, LotAmount, TransferKind
from domain.errors import InsufficientCredits, InvalidInput, ReferenceReused, TenantNotFound
from domain.lots import MAX_GRANT_CREDITS, Grant, Threshold

_BALANCES = text("""
SELECT kind, balance_credits, CASE kind WHEN 'available' THEN spendable_credits(:tenant) END AS spendable,
    CASE kind WHEN 'available' THEN (
        SELECT sum(remaining_credits) FROM lots
        WHERE tenant_id = :tenant AND closed_at IS NULL AND effective_at > statement_timestamp()
    ) END AS upcoming,
    next.credits AS next_credits, next.expires_at AS next_expiry,
    CASE kind WHEN 'available' THEN ARRAY(
        SELECT threshold_credits FROM credit_thresholds WHERE tenant_id = :tenant
        ORDER BY threshold_credits DESC
    ) END AS thresholds,
    CASE kind WHEN 'available' THEN ARRAY(
        SELECT told_at FROM credit_thresholds WHERE tenant_id = :tenant ORDER BY threshold_credits DESC
    ) END AS told_at
FROM accounts LEFT JOIN LATERAL (
    SELECT expires_at, sum(remaining_credits)::bigint AS credits FROM lots
    WHERE tenant_id = :tenant AND closed_at IS NULL AND remaining_credits > 0
        AND expires_at > statement_timestamp()
    GROUP BY expires_at ORDER BY expires_at LIMIT 1
) AS next ON accounts.kind = 'available'
WHERE tenant_id = :tenant
""")
_SPENDABLE = text("SELECT spendable_credits(:tenant)")
_MAX_ENTRY_ID = 2**63 - 1
# Their transfers are named by what whoever asked for them called them.
_WITH_REFERENCE = (TransferKind.GRANT, TransferKind.WITHDRAW, TransferKind.TAKE_BACK)
_WITHDRAW = text("SELECT withdraw_credits(:tenant, :reference, :credits)")


class PostgresCreditAccounts:
    """Balances, entries, and what operators grant and withdraw."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._lots = PostgresLots(database)

    async def grant(
        self, tenant_id: str, amount_credits: int, reference: str, *, by: Actor = SYSTEM
    ) -> Balance:
        await self._lots.grant(Grant(tenant_id, amount_credits, reference), by=by)
        return await self.balance(tenant_id)

    async def withdraw(self, tenant_id: str, amount_credits: int, reference: str, *, by: Actor) -> Balance:
        if not 1 <= amount_credits <= MAX_GRANT_CREDITS:
            raise InvalidInput(errors=(("amount", f"1 to {MAX_GRANT_CREDITS}"),))
        values = {"tenant": tenant_id, "reference": reference, "credits": amount_credits}
        async with self._database.begin() as session:
            state = await session.scalar(_WITHDRAW, values)
            if state == "no_tenant":
                raise TenantNotFound
            if state == "insufficient":
                available = await session.scalar(_SPENDABLE, {"tenant": tenant_id})
                raise InsufficientCredits(f"{available} credits are available")
            if state == "differs":
                raise ReferenceReused("the reference was used for another amount")
            if state == "withdrawn":
                details = {"amount_credits": amount_credits, "reference": reference}
                await record(session, by, AuditAction.WITHDRAW_CREDITS, tenant_id, tenant_id, **details)
        return await self.balance(tenant_id)

    async def balance(self, tenant_id: str) -> Balance:
        rows = await self._database.call(_BALANCES, {"tenant": tenant_id})
        accounts = {AccountKind(row.kind): row for row in rows}
        if not accounts:
            raise TenantNotFound
        available, owed = accounts[AccountKind.AVAILABLE], accounts.get(AccountKind.OWED)
        expires_at = available.next_expiry
        return Balance(
            available.spendable,
            accounts[AccountKind.HELD].balance_credits,
            accounts[AccountKind.SPENT].balance_credits,
            -owed.balance_credits if owed is not None else 0,
            int(available.upcoming or 0),
            Expiry(available.next_credits, expires_at) if expires_at is not None else None,
            tuple(map(Threshold, available.thresholds, available.told_at)),
        )

    async def list_entries(self, tenant_id: str, *, before: int | None, limit: int) -> Sequence[Entry]:
        """Return entries except those of `issued`, the operator's counterpart of grants."""
        # The newest of each account first, by the index, then the newest of these.
        # By both of its columns: else all entries would be walked for an account that has few, as `owed` has.
        place = tuple_(col(EntryRow.account_id), col(EntryRow.id))
        newest = (
            select(EntryRow)
            .where(
                place < tuple_(col(AccountRow.id), _MAX_ENTRY_ID if before is None else before),
                col(EntryRow.account_id) >= col(AccountRow.id),
            )
            .order_by(col(EntryRow.account_id).desc(), col(EntryRow.id).desc())
            .limit(limit)
        )
        of_account = aliased(EntryRow, newest.lateral())
        query = (
            select(of_account, TransferRow, col(AccountRow.kind), _lots_moved().label("lots"))
            .select_from(AccountRow)
            .join(of_account, literal(value=True))
            .join(TransferRow, col(TransferRow.id) == of_account.transfer_id)
            .where(col(AccountRow.tenant_id) == tenant_id, col(AccountRow.kind) != AccountKind.ISSUED)
            .order_by(col(of_account.id).desc())
            .limit(limit)
        )
        async with self._database.begin() as session:
            rows = (await session.execute(query)).all()
        return [_entry(*row) for row in rows]


def _lots_moved() -> ScalarSelect[Any]:
    """Return what a transfer moved in lots, as pairs, seen from the account of the entry."""
    remaining, held = col(LotEntryRow.remaining_change), col(LotEntryRow.held_change)
    amount = case(
        {AccountKind.AVAILABLE: remaining, AccountKind.HELD: held, AccountKind.SPENT: -(remaining + held)},
        value=col(AccountRow.kind),
        else_=0,
    )
    return (
        select(func.jsonb_agg(func.jsonb_build_array(col(LotEntryRow.lot_id), amount)))
        .where(col(LotEntryRow.transfer_id) == col(TransferRow.id), amount != 0)
        .scalar_subquery()
    )


def _entry(
    entry: EntryRow, transfer: TransferRow, kind: str, lots: Sequence[tuple[str, int]] | None
) -> Entry:
    assert entry.id is not None
    has_reference = transfer.kind in _WITH_REFERENCE
    reference = transfer.id.removeprefix(f"{transfer.kind}:{transfer.tenant_id}:") if has_reference else None
    if reference is not None and transfer.kind == TransferKind.TAKE_BACK:
        reference = reference.partition(":")[2]  # behind the length of the payment's
    return Entry(
        id=entry.id,
        transfer_id=transfer.id,
        kind=TransferKind(transfer.kind),
        account=AccountKind(kind),
        amount=entry.amount_credits,
        balance_after=entry.balance_after,
        generation_id=transfer.generation_id,
        created_at=transfer.created_at,
        reference=reference,
        lots=tuple(LotAmount(*each) for each in lots or ()),
    )
