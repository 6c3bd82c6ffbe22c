"""The books: what must agree between accounts, entries, lots, holds and what was counted of them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class BookCheck(StrEnum):
    """One comparison. Each is of one tenant, at one moment.

    Attributes:
        ACCOUNTS: The balances of a tenant's accounts add up to zero.
        BALANCE: An account's balance is the sum of its entries.
        LAST_ENTRY: It is also what its last entry says.
        TRANSFER: The entries of a transfer add up to zero.
        RESOLUTION: A hold is resolved once.
        AVAILABLE: What is available remains in lots.
        HELD: What is held is held in lots.
        OWED: What is owed is owed of lots.
        LOT: What remains of a lot, and is held of it, is the sum of its entries.
        HOLD: What an open generation holds is held in lots.
        OPEN_HOLDS: What is held is held by open generations: none that ended holds anything.
        KEY_SPENDING: What is counted as held by a key is held by its open generations.
        USAGE_DAYS: What is counted as used is what was spent.
    """

    ACCOUNTS = "accounts"
    BALANCE = "balance"
    LAST_ENTRY = "last_entry"
    TRANSFER = "transfer"
    RESOLUTION = "resolution"
    AVAILABLE = "available"
    HELD = "held"
    OWED = "owed"
    LOT = "lot"
    HOLD = "hold"
    OPEN_HOLDS = "open_holds"
    KEY_SPENDING = "key_spending"
    USAGE_DAYS = "usage_days"


@dataclass(frozen=True)
class Disagreement:
    """Two numbers that should be the same.

    Attributes:
        subject: An account, transfer, lot, generation's hold or key.
        expected: By the first thing that the check names. found: by the second.
    """

    check: BookCheck
    tenant_id: str
    subject: str
    expected: int
    found: int


@dataclass(frozen=True)
class BookMark:
    """The sum of a subject's entries up to one of them. held_credits: of a lot, apart from what remains."""

    entry_id: int = 0
    credits: int = 0
    held_credits: int = 0


@dataclass(frozen=True)
class BooksState:
    """What the last check of all tenants found, by the name of the comparison, and how long ago that was.

    age_seconds: without a check, since there is something to be checked.
    """

    disagreements: Mapping[str, int] = field(default_factory=dict)
    age_seconds: float = 0.0


@dataclass(frozen=True)
class BooksProgress:
    """How far a check of all tenants has come: what one step passes to the next.

    after: the id of the last tenant. disagreements: how many were found, by the name of the comparison.
    """

    after: str = ""
    tenants: int = 0
    disagreements: dict[str, int] = field(default_factory=dict)
    is_done: bool = False
