"""Credits: whole numbers that are held first, then charged or returned. Pure data."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from domain.generation import Outcome
from domain.lots import Threshold


class AccountKind(StrEnum):
    """A tenant's accounts; their balances add up to zero. Only ISSUED and OWED may be below zero.

    OWED: not there before something is owed.
    """

    ISSUED = "issued"
    AVAILABLE = "available"
    HELD = "held"
    SPENT = "spent"
    OWED = "owed"


class TransferKind(StrEnum):
    """Why credits moved.

    An operator, or a billing system, grants, withdraws, voids a lot, and takes back what was paid for it. A
    lot expires, and a grant repays what is owed. A hold is resolved once, by SETTLE, REFUND or EXPIRE.
    """

    GRANT = "grant"
    WITHDRAW = "withdraw"
    EXPIRE_LOT = "expire_lot"
    VOID_LOT = "void_lot"
    TAKE_BACK = "take_back"
    REPAY = "repay"
    HOLD = "hold"
    SETTLE = "settle"
    REFUND = "refund"
    EXPIRE = "expire"


class HoldState(StrEnum):
    """The result of `reserve_credits`, as a value."""

    HELD = "held"
    INSUFFICIENT = "insufficient"
    CANCELED = "canceled"
    NOT_STARTED_IN_TIME = "not_started_in_time"
    ALREADY_TERMINAL = "already_terminal"


@dataclass(frozen=True)
class Reservation:
    """The result of a reserve. `outcome` is set unless the credits are held.

    Attributes:
        waits: Whether the provider has no free slot yet.
        queued_seconds: How long ago, by the database's clock, the credits were first held; after a reset that
            is long ago.
        closed: Whether the provider takes no jobs now.
    """

    state: HoldState
    outcome: Outcome | None = None
    waits: bool = False
    queued_seconds: float | None = None
    closed: bool = False


@dataclass(frozen=True)
class Refund:
    """The result of a refund. `submitted` means it was refused because a submit has begun."""

    outcome: Outcome | None
    submitted: bool = False


@dataclass(frozen=True)
class Completion:
    """The result of a complete. keeps_images: Whether the objects stay; not if it had ended without them."""

    outcome: Outcome
    keeps_images: bool


@dataclass(frozen=True)
class Expiry:
    """Credits that are gone at a moment, unless they are spent or held before."""

    credits: int
    expires_at: datetime


@dataclass(frozen=True)
class Balance:
    """A tenant's credits.

    Attributes:
        available: What may be spent now.
        owed: What was taken back after it was spent. The next grant pays it first.
        upcoming: Granted, and not to be spent yet.
    """

    available: int
    held: int
    spent: int
    owed: int = 0
    upcoming: int = 0
    next_expiry: Expiry | None = None
    thresholds: tuple[Threshold, ...] = ()


@dataclass(frozen=True)
class LotAmount:
    """What of an entry's amount was moved in one lot."""

    lot_id: str
    amount: int


@dataclass(frozen=True)
class Entry:
    """One line of a tenant's account, newest first in lists. `amount` is signed.

    Attributes:
        reference: Of a grant or withdrawal its own; of a take-back that of the payment and its own.
        lots: Those that the amount went into or came from, if that was in lots.
    """

    id: int
    transfer_id: str
    kind: TransferKind
    account: AccountKind
    amount: int
    balance_after: int
    generation_id: str | None
    created_at: datetime
    reference: str | None = None
    lots: tuple[LotAmount, ...] = ()
