"""The ports of the database, and rows that a test writes and reads without them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from adapters.database.assets import PostgresAssets
from adapters.database.credits import PostgresCreditAccounts
from adapters.database.engine import Database
from adapters.database.inbox import PostgresInbox
from adapters.database.input_files import PostgresInputFiles
from adapters.database.ledger import PostgresLedger
from adapters.database.provider_slots import PostgresProviderSlots
from adapters.database.tables import AttemptRow
from domain.attempt import AttemptState
from domain.ports import Assets, Inbox, InputFiles, Ledger, ProviderSlots
from domain.provider import AttemptRef, ProviderCost
from tests.support.books import PostgresBooks
from tests.support.last_try import LastTryAttempts
from tests.support.requests import new_id


@dataclass(frozen=True)
class Noted:
    """Columns of an attempt for operators and accounting, which no port returns."""

    state: AttemptState
    code: str | None
    moderated_at: str | None
    cost: ProviderCost | None
    is_late: bool


class Books(PostgresBooks):
    """Rows of the database; each grant gets a new reference."""

    async def grant(self, tenant_id: str, credits: int) -> None:
        await PostgresCreditAccounts(self.database).grant(tenant_id, credits, new_id("grant"))

    async def noted(self, attempt: AttemptRef) -> Noted:
        async with self.database.begin() as session:
            row = await session.get(AttemptRow, (attempt.generation_id, attempt.ordinal))
        assert row is not None
        cost = None
        if row.cost_amount is not None and row.cost_unit is not None:
            cost = ProviderCost(row.cost_amount, row.cost_unit)
        is_late = row.late_at is not None
        return Noted(AttemptState(row.state), row.code, row.moderated_at, cost, is_late)


@dataclass(frozen=True)
class Subject:
    """The ports under test. slots: builds the port with so many slots at each provider."""

    books: Books
    ledger: Ledger
    attempts: LastTryAttempts
    assets: Assets
    inbox: Inbox
    files: InputFiles
    slots: Callable[[Mapping[str, int]], ProviderSlots]


def on_postgres(database: Database) -> Subject:
    return Subject(
        Books(database),
        PostgresLedger(database),
        LastTryAttempts(database),
        PostgresAssets(database),
        PostgresInbox(database),
        PostgresInputFiles(database),
        lambda limits: PostgresProviderSlots(database, limits),
    )
