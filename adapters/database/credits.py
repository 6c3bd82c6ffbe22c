"""Credits as tenants read them and operators grant them."""

from collections.abc import Sequence

from sqlalchemy import bindparam, literal, select
from sqlalchemy.orm import aliased
from sqlmodel import col

from adapters.database.audit import record
from adapters.database.engine import Database
from adapters.database.ledger import move
from adapters.database.tables import AccountRow, EntryRow, TransferRow
from domain.audit import SYSTEM, Actor, AuditAction
from domain.credits import AccountKind, Balance, Entry, TransferKind
from domain.errors import InsufficientCredits, InvalidInput, TenantNotFound

_BALANCES = (
    select(col(AccountRow.kind), col(AccountRow.balance_credits))
    .where(col(AccountRow.tenant_id) == bindparam("tenant"))
    .order_by(col(AccountRow.id))
)
_MAX_GRANT_CREDITS = 1_000_000_000_000
_ACTIONS = {
    TransferKind.GRANT: AuditAction.GRANT_CREDITS,
    TransferKind.WITHDRAW: AuditAction.WITHDRAW_CREDITS,
}


class PostgresCreditAccounts:
    """Balances, entries and grants."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def grant(
        self, tenant_id: str, amount_credits: int, reference: str, *, by: Actor = SYSTEM
    ) -> Balance:
        return await self._issue(TransferKind.GRANT, tenant_id, amount_credits, reference, by)

    async def withdraw(self, tenant_id: str, amount_credits: int, reference: str, *, by: Actor) -> Balance:
        return await self._issue(TransferKind.WITHDRAW, tenant_id, amount_credits, reference, by)

    async def _issue(
        self, kind: TransferKind, tenant_id: str, amount_credits: int, reference: str, by: Actor
    ) -> Balance:
        """Move credits between the operator and the tenant, once per kind and reference."""
        if not 1 <= amount_credits <= _MAX_GRANT_CREDITS:
            raise InvalidInput(errors=(("amount", f"1 to {_MAX_GRANT_CREDITS}"),))
        transfer_id = f"{kind}:{tenant_id}:{reference}"
        async with self._database.begin() as session:
            rows = await session.execute(_BALANCES.with_for_update(), {"tenant": tenant_id})
            balances = {AccountKind(kind): balance for kind, balance in rows}
            if not balances:
                raise TenantNotFound
            existing = await session.get(TransferRow, transfer_id)
            if existing is None:
                change = amount_credits if kind is TransferKind.GRANT else -amount_credits
                if balances[AccountKind.AVAILABLE] + change < 0:
                    raise InsufficientCredits(f"{balances[AccountKind.AVAILABLE]} credits are available")
                changes = {AccountKind.AVAILABLE: change, AccountKind.ISSUED: -change}
                await move(session, transfer_id, tenant_id, kind, amount_credits, changes)
                details = {"amount_credits": amount_credits, "reference": reference}
                await record(session, by, _ACTIONS[kind], tenant_id, tenant_id, **details)
            elif existing.amount_credits != amount_credits:
                raise InvalidInput(
                    errors=(("reference", f"already used for {existing.amount_credits} credits"),)
                )
        return await self.balance(tenant_id)

    async def balance(self, tenant_id: str) -> Balance:
        rows = await self._database.call(_BALANCES, {"tenant": tenant_id})
        balances = {AccountKind(row.kind): row.balance_credits for row in rows}
        if not balances:
            raise TenantNotFound
        return Balance(
            balances[AccountKind.AVAILABLE], balances[AccountKind.HELD], balances[AccountKind.SPENT]
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
