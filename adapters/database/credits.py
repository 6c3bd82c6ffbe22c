"""Credits as tenants read them and operators grant them."""

from collections.abc import Sequence

from sqlalchemy import literal, select
from sqlalchemy.orm import aliased
from sqlmodel import col

from adapters.database.engine import Database
from adapters.database.ledger import locked_balances, post
from adapters.database.tables import AccountRow, EntryRow, TransferRow
from domain.credits import AccountKind, Balance, Entry, TransferKind
from domain.errors import InvalidInput, TenantNotFound

_MAX_GRANT_CREDITS = 1_000_000_000_000


class PostgresCreditAccounts:
    """Balances, entries and grants."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def grant(self, tenant_id: str, amount_credits: int, reference: str) -> Balance:
        if not 1 <= amount_credits <= _MAX_GRANT_CREDITS:
            raise InvalidInput(errors=(("amount", f"1 to {_MAX_GRANT_CREDITS}"),))
        transfer_id = f"grant:{tenant_id}:{reference}"
        async with self._database.begin() as session:
            if not await locked_balances(session, tenant_id):
                raise TenantNotFound
            existing = await session.get(TransferRow, transfer_id)
            if existing is None:
                transfer = TransferRow(
                    id=transfer_id,
                    tenant_id=tenant_id,
                    kind=TransferKind.GRANT,
                    amount_credits=amount_credits,
                )
                changes = {AccountKind.AVAILABLE: amount_credits, AccountKind.ISSUED: -amount_credits}
                await post(session, transfer, changes)
            elif existing.amount_credits != amount_credits:
                raise InvalidInput(
                    errors=(("reference", f"already granted {existing.amount_credits} credits"),)
                )
        return await self.balance(tenant_id)

    async def balance(self, tenant_id: str) -> Balance:
        query = select(col(AccountRow.kind), col(AccountRow.balance_credits)).where(
            col(AccountRow.tenant_id) == tenant_id
        )
        async with self._database.begin() as session:
            balances = {AccountKind(kind): balance for kind, balance in await session.execute(query)}
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
