"""Credits as tenants read them and operators grant them."""

from collections.abc import Sequence

from sqlalchemy import literal, select, text
from sqlalchemy.orm import aliased
from sqlmodel import col

from adapters.database.audit import record
from adapters.database.engine import Database
from adapters.database.lots import PostgresLots
from adapters.database.tables import AccountRow, EntryRow, TransferRow
from domain.audit import SYSTEM, Actor, AuditAction
from domain.credits import AccountKind, Balance, Entry, TransferKind
from domain.errors import InsufficientCredits, InvalidInput, ReferenceReused, TenantNotFound
from domain.lots import MAX_GRANT_CREDITS, Grant

_BALANCES = text("""
SELECT kind, balance_credits, CASE kind WHEN 'available' THEN spendable_credits(:tenant) END AS spendable,
    CASE kind WHEN 'available' THEN (
        SELECT sum(remaining_credits) FROM lots
        WHERE tenant_id = :tenant AND closed_at IS NULL AND effective_at > statement_timestamp()
    ) END AS upcoming
FROM accounts WHERE tenant_id = :tenant
""")
_SPENDABLE = text("SELECT spendable_credits(:tenant)")
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
        owed = accounts.get(AccountKind.OWED)
        return Balance(
            accounts[AccountKind.AVAILABLE].spendable,
            accounts[AccountKind.HELD].balance_credits,
            accounts[AccountKind.SPENT].balance_credits,
            -owed.balance_credits if owed is not None else 0,
            int(accounts[AccountKind.AVAILABLE].upcoming or 0),
        )

    async def list_entries(self, tenant_id: str, *, before: int | None, limit: int) -> Sequence[Entry]:
        """Return entries except those of `issued`, the operator's counterpart of grants."""
        # The newest of each account first, by the index, then the newest of these.
        newest = select(EntryRow).where(col(EntryRow.account_id) == col(AccountRow.id))
        if before is not None:
            newest = newest.where(col(EntryRow.id) < before)
        of_account = aliased(EntryRow, newest.order_by(col(EntryRow.id).desc()).limit(limit).lateral())
        query = (
            select(of_account, TransferRow, col(AccountRow.kind))
            .select_from(AccountRow)
            .join(of_account, literal(value=True))
            .join(TransferRow, col(TransferRow.id) == of_account.transfer_id)
            .where(col(AccountRow.tenant_id) == tenant_id, col(AccountRow.kind) != AccountKind.ISSUED)
            .order_by(col(of_account.id).desc())
            .limit(limit)
        )
        async with self._database.begin() as session:
            rows = (await session.execute(query)).all()
        return [_entry(entry, transfer, kind) for entry, transfer, kind in rows]


def _entry(entry: EntryRow, transfer: TransferRow, kind: str) -> Entry:
    assert entry.id is not None
    return Entry(
        id=entry.id,
        transfer_id=transfer.id,
        kind=TransferKind(transfer.kind),
        account=AccountKind(kind),
        amount=entry.amount_credits,
        balance_after=entry.balance_after,
        generation_id=transfer.generation_id,
        created_at=transfer.created_at,
    )
