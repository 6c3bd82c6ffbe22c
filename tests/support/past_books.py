"""The books of a tenant, written with times of their own: nothing else can say when a transfer was made.

Rows are inserted as the functions of the database would leave them, with every trigger off.
"""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import asyncpg

from domain.credits import AccountKind, TransferKind

AVAILABLE, HELD, SPENT = AccountKind.AVAILABLE, AccountKind.HELD, AccountKind.SPENT
ISSUED, OWED = AccountKind.ISSUED, AccountKind.OWED
MODELS = ("flux-dev", "flux-schnell", "=cmd|' /C calc'!A0")
KEYS = ("0123456789abcdef", "fedcba9876543210", "")
_OF_A_HOLD = (TransferKind.HOLD, TransferKind.SETTLE, TransferKind.REFUND, TransferKind.EXPIRE)
_KINDS = (*TransferKind, *[TransferKind.HOLD, TransferKind.SETTLE] * 3)
_TRANSFER = """
INSERT INTO transfers (id, tenant_id, kind, hold_id, generation_id, amount_credits, created_at)
VALUES ($1, $2, $3, $4, $5, $6, $7)
"""
_ENTRY = """
INSERT INTO entries (transfer_id, account_id, amount_credits, balance_after) VALUES ($1, $2, $3, $4)
"""
_LOT = """
INSERT INTO lots (id, tenant_id, grant_id, reference, category, priority, granted_credits, remaining_credits)
VALUES ($1, $2, $3, 'r', $4, 50, $5, $5)
"""
_USAGE = """
INSERT INTO usage_days VALUES ($1, $2, $3, $4, 1, $5, $6)
ON CONFLICT (tenant_id, day, model, api_key_id) DO UPDATE SET
    generations = usage_days.generations + 1, images = usage_days.images + excluded.images,
    charged_credits = usage_days.charged_credits + excluded.charged_credits
"""
# The account of what is owed is made when something is.
_BALANCE = """
INSERT INTO accounts (id, tenant_id, kind, balance_credits) VALUES ($1 || ':' || $2, $1, $2, $3)
ON CONFLICT (id) DO UPDATE SET balance_credits = excluded.balance_credits
"""


@dataclass(frozen=True)
class Movement:
    """One transfer. category: of the lot that it grants. images, model, key_id: of the job it charges for."""

    kind: TransferKind
    at: datetime
    amount: int
    changes: Mapping[AccountKind, int]
    category: str | None = None
    model: str | None = None
    images: int = 0
    key_id: str = ""

    @property
    def balance_change(self) -> int:
        """Return by how much what the tenant has, less what it owes, changes."""
        return sum(self.changes.get(kind, 0) for kind in (AVAILABLE, HELD, OWED))


@dataclass
class PastBooks:
    """A history of movements, in the order in which their entries are written."""

    tenant_id: str
    movements: list[Movement] = field(default_factory=list)
    balances: dict[AccountKind, int] = field(default_factory=lambda: dict.fromkeys(AccountKind, 0))

    def move(
        self,
        kind: TransferKind,
        at: datetime,
        amount: int,
        changes: Mapping[AccountKind, int],
        *,
        category: str | None = None,
        job: tuple[str, int, str] | None = None,
    ) -> None:
        """Append a movement. job: model, images and key of what it charges for."""
        for account, change in changes.items():
            self.balances[account] += change
        model, images, key_id = job or (None, 0, "")
        self.movements.append(Movement(kind, at, amount, changes, category, model, images, key_id))

    async def write(self, connection: asyncpg.Connection) -> None:
        """Write all of it. connection: of the owner."""
        balances = dict.fromkeys(AccountKind, 0)
        async with connection.transaction():
            await connection.execute("SET LOCAL session_replication_role = replica")
            for number, movement in enumerate(self.movements):
                id_ = f"{self.tenant_id}:{number}"
                job = f"gen_{id_}" if movement.kind in _OF_A_HOLD else None
                hold = f"{id_}:hold" if job else None
                facts = (movement.kind.value, hold, job, movement.amount, movement.at)
                await connection.execute(_TRANSFER, id_, self.tenant_id, *facts)
                for account, change in movement.changes.items():
                    balances[account] += change
                    account_id = f"{self.tenant_id}:{account}"
                    await connection.execute(_ENTRY, id_, account_id, change, balances[account])
                await self._write_counted(connection, movement, id_)
            for account, balance in balances.items():
                await connection.execute(_BALANCE, self.tenant_id, account.value, balance)

    async def _write_counted(self, connection: asyncpg.Connection, movement: Movement, id_: str) -> None:
        if movement.category is not None:
            lot = (f"lot_{id_}", self.tenant_id, id_, movement.category, movement.amount)
            await connection.execute(_LOT, *lot)
        if movement.model is not None:
            group = (self.tenant_id, movement.at.astimezone(UTC).date(), movement.model, movement.key_id)
            await connection.execute(_USAGE, *group, movement.images, movement.amount)


def seeded(seed: int) -> random.Random:
    return random.Random(seed)  # noqa: S311 - no secret


def random_moments(rng: random.Random, edges: Sequence[datetime], count: int) -> list[datetime]:
    """Return moments between the edges, many of them at one: just before, at it, and just after."""
    first, last = edges[0], edges[-1]
    near = (timedelta(0), timedelta(microseconds=1), timedelta(seconds=2))
    anywhere = [first + (last - first) * rng.random() for _ in range(count // 2)]
    at_edges = [
        rng.choice(edges[1:-1]) + rng.choice((-1, 1)) * rng.choice(near) for _ in range(count - count // 2)
    ]
    return sorted(anywhere + at_edges)


def random_books(rng: random.Random, tenant_id: str, moments: Sequence[datetime]) -> PastBooks:
    """Return a history with a movement at each of these moments, of every kind that the balances allow."""
    books = PastBooks(tenant_id)
    for at in moments:
        _move_somehow(rng, books, at)
    return books


def _move_somehow(rng: random.Random, books: PastBooks, at: datetime) -> None:
    available, held, owed = (books.balances[kind] for kind in (AVAILABLE, HELD, OWED))
    amount = rng.randint(1, 40)
    part = rng.randint(1, min(amount, available)) if available else 0
    kind = rng.choice(_KINDS)
    if kind in (TransferKind.EXPIRE_LOT, TransferKind.VOID_LOT, TransferKind.WITHDRAW) and part:
        books.move(kind, at, part, {AVAILABLE: -part, ISSUED: part})
    elif kind is TransferKind.TAKE_BACK and amount <= -books.balances[ISSUED]:
        short = amount - part
        changes = {AVAILABLE: -part, OWED: -short, ISSUED: amount}
        books.move(kind, at, amount, {account: change for account, change in changes.items() if change})
    elif kind is TransferKind.REPAY and part and owed:
        paid = min(part, -owed)
        books.move(kind, at, paid, {AVAILABLE: -paid, OWED: paid})
    elif kind is TransferKind.HOLD and part:
        books.move(kind, at, part, {AVAILABLE: -part, HELD: part})
    elif kind is TransferKind.SETTLE and held:
        _settle(rng, books, at, rng.randint(1, held))
    elif kind in (TransferKind.REFUND, TransferKind.EXPIRE) and held:
        back = rng.randint(1, held)
        books.move(kind, at, back, {AVAILABLE: back, HELD: -back})
    else:
        # What was there before there were lots has none.
        category = rng.choice(("paid", "promotional", None))
        changes = {AVAILABLE: amount, ISSUED: -amount}
        books.move(TransferKind.GRANT, at, amount, changes, category=category)


def _settle(rng: random.Random, books: PastBooks, at: datetime, held: int) -> None:
    charged = rng.randint(0, held)
    changes = {AVAILABLE: held - charged, HELD: -held, SPENT: charged}
    job = (rng.choice(MODELS), rng.randint(1, 4), rng.choice(KEYS))
    books.move(
        TransferKind.SETTLE,
        at,
        charged,
        {account: change for account, change in changes.items() if change},
        job=job,
    )
