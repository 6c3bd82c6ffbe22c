"""The two databases that pass one suite for each port: the fakes, and PostgreSQL behind the adapters."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from adapters.database.assets import PostgresAssets
from adapters.database.attempts import PostgresAttempts
from adapters.database.credits import PostgresCreditAccounts
from adapters.database.engine import Database
from adapters.database.inbox import PostgresInbox
from adapters.database.input_files import PostgresInputFiles
from adapters.database.ledger import PostgresLedger
from adapters.database.provider_slots import PostgresProviderSlots
from adapters.database.tables import AttemptRow
from domain.credits import AccountKind, Balance
from domain.generation import Generation, GenerationRequest, Stage
from domain.ports import Assets, Attempts, Inbox, InputFiles, Ledger, ProviderSlots
from domain.provider import AttemptRef, ProviderCost
from tests.support.books import PostgresBooks, images
from tests.support.memory_assets import MemoryAssets
from tests.support.memory_attempts import MemoryAttempts
from tests.support.memory_books import MemoryBooks
from tests.support.memory_files import MemoryFiles
from tests.support.memory_gate import MemoryGate
from tests.support.memory_inbox import MemoryInbox
from tests.support.memory_ledger import MemoryLedger
from tests.support.requests import new_id, request


@dataclass(frozen=True)
class Noted:
    """What is kept of an attempt for operators and accounting, and no port hands out."""

    state: str
    code: str | None
    moderated_at: str | None
    is_free: bool
    cost: ProviderCost | None
    is_late: bool


class Books(Protocol):
    """What a test arranges and looks at, past the ports under test."""

    async def tenant(self, credits: int = 0) -> str: ...
    async def grant(self, tenant_id: str, credits: int) -> None: ...
    async def add(self, tenant_id: str, wanted: GenerationRequest | None = None) -> str: ...
    async def read(self, generation_id: str) -> Generation: ...
    async def cancel(self, generation_id: str) -> None: ...
    async def store(self, generation_id: str, count: int = 1) -> None: ...
    async def balance(self, tenant_id: str) -> Balance: ...
    async def transfers(self, generation_id: str) -> list[tuple[str, int]]: ...
    async def assert_sound(self, tenant_id: str) -> None: ...
    async def noted(self, attempt: AttemptRef) -> Noted: ...


@dataclass(frozen=True)
class Subject:
    """One database under test. gate: makes one with so many places at each provider."""

    books: Books
    ledger: Ledger
    attempts: Attempts
    assets: Assets
    inbox: Inbox
    files: InputFiles
    gate: Callable[[Mapping[str, int]], ProviderSlots]


def in_memory() -> Subject:
    rows = MemoryBooks()
    books = BooksInMemory(rows)

    def gate(places: Mapping[str, int]) -> MemoryGate:
        gate = MemoryGate(rows)
        gate.places.update(places)
        return gate

    return Subject(
        books,
        MemoryLedger(rows),
        MemoryAttempts(rows),
        MemoryAssets(rows),
        MemoryInbox(rows),
        MemoryFiles(),
        gate,
    )


def on_postgres(database: Database) -> Subject:
    return Subject(
        BooksOnPostgres(database),
        PostgresLedger(database),
        PostgresAttempts(database),
        PostgresAssets(database),
        PostgresInbox(database),
        PostgresInputFiles(database),
        lambda places: PostgresProviderSlots(database, places),
    )


class BooksOnPostgres(PostgresBooks):
    """Grants come with a reference there, and each of these is a new one."""

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
        return Noted(row.state, row.code, row.moderated_at, bool(row.is_free), cost, is_late)


class BooksInMemory:
    """The same for the fakes."""

    def __init__(self, rows: MemoryBooks) -> None:
        self._rows = rows

    async def tenant(self, credits: int = 0) -> str:
        tenant_id = new_id("ten")
        await self.grant(tenant_id, credits)
        return tenant_id

    async def grant(self, tenant_id: str, credits: int) -> None:
        self._rows.grant(tenant_id, credits)

    async def add(self, tenant_id: str, wanted: GenerationRequest | None = None) -> str:
        return self._rows.add(new_id("gen"), tenant_id, wanted or request()).id

    async def read(self, generation_id: str) -> Generation:
        return self._rows.row(generation_id).generation()

    async def cancel(self, generation_id: str) -> None:
        self._rows.request_cancel(generation_id)

    async def store(self, generation_id: str, count: int = 1) -> None:
        row = self._rows.row(generation_id)
        row.images = tuple(images(generation_id, count))
        row.enter(Stage.SETTLING)

    async def balance(self, tenant_id: str) -> Balance:
        return self._rows.balance(tenant_id)

    async def transfers(self, generation_id: str) -> list[tuple[str, int]]:
        return [
            (transfer.kind, transfer.amount_credits)
            for transfer in self._rows.journal
            if transfer.generation_id == generation_id
        ]

    async def noted(self, attempt: AttemptRef) -> Noted:
        record = self._rows.row(attempt.generation_id).records[attempt.ordinal]
        return Noted(
            record.state, record.code, record.moderated_at, record.is_free, record.cost, record.is_late
        )

    async def assert_sound(self, tenant_id: str) -> None:
        accounts, journal = self._rows.accounts[tenant_id], self._rows.journal
        changes = [transfer.changes for transfer in journal if transfer.tenant_id == tenant_id]
        assert [sum(change.values()) for change in changes] == [0] * len(changes)
        assert accounts == {kind: sum(change.get(kind, 0) for change in changes) for kind in AccountKind}
        rows = [row for row in self._rows.rows.values() if row.tenant_id == tenant_id]
        unresolved = [row.held_credits for row in rows if len(row.transfers) == 1]
        assert accounts[AccountKind.HELD] == sum(unresolved)
