"""Lots: credits as they were granted, and what became of each. Pure data; the rules are SQL functions."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

MAX_GRANT_CREDITS = 1_000_000_000_000
MAX_PRIORITY = 100
DEFAULT_PRIORITY = 50
# Reference of a payment, a grant, a take-back.
MAX_REFERENCE_CHARACTERS = 200
MAX_THRESHOLDS = 10


class LotCategory(StrEnum):
    """Whether somebody paid for the credits. Of two that are alike, the promotional lot is spent first."""

    PAID = "paid"
    PROMOTIONAL = "promotional"


class LotStatus(StrEnum):
    """What can still become of a lot, by the database's clock. OPEN: it may be spent, or a hold is on it."""

    UPCOMING = "upcoming"
    OPEN = "open"
    USED_UP = "used_up"
    EXPIRED = "expired"
    VOIDED = "voided"
    TAKEN_BACK = "taken_back"


@dataclass(frozen=True)
class Grant:
    """Credits to be given to a tenant, as one lot.

    Attributes:
        reference: What they are for. Granted once by it: within the tenant, and for a payment in all of the
            service.
        priority: 0 to 100; lots with the lowest are spent first.
        effective_at: From when they may be spent; None for now, by the database's clock.
        expires_at: When what is not held is taken away; None for never.
        is_payment: Whether the reference is one of a payment, by which it may be taken back, also before.
    """

    tenant_id: str
    amount_credits: int
    reference: str
    category: LotCategory = LotCategory.PAID
    priority: int = DEFAULT_PRIORITY
    effective_at: datetime | None = None
    expires_at: datetime | None = None
    is_payment: bool = False


@dataclass(frozen=True)
class Lot:
    """The credits of one grant, and where each of them is now.

    granted = remaining + held + spent + expired + voided + withdrawn + taken_back + repaid. `owed` is what
    was taken back and was not there any more, less what was paid of that since.
    """

    id: str
    tenant_id: str
    reference: str
    category: LotCategory
    priority: int
    granted: int
    remaining: int
    held: int
    spent: int
    expired: int
    voided: int
    withdrawn: int
    taken_back: int
    repaid: int
    owed: int
    effective_at: datetime
    expires_at: datetime | None
    created_at: datetime
    status: LotStatus
    expired_at: datetime | None = None
    voided_at: datetime | None = None
    closed_at: datetime | None = None


@dataclass(frozen=True)
class Granted:
    """A lot, and whether this call made it."""

    lot: Lot
    is_new: bool


class TakeBackState(StrEnum):
    """Whether a take-back has found its payment."""

    APPLIED = "applied"
    PENDING = "pending"


@dataclass(frozen=True)
class TakeBack:
    """A refund or chargeback of a payment.

    Attributes:
        amount_credits: What was asked for; None for all of the payment.
        applied_credits: How much of the payment it took back, what is owed included; None while pending.
        is_new: Whether this call recorded it.
    """

    payment_reference: str
    reference: str
    tenant_id: str
    amount_credits: int | None
    applied_credits: int | None
    state: TakeBackState
    is_new: bool


@dataclass(frozen=True)
class Threshold:
    """A balance below which a tenant is told once. told_at: None until then, and after a grant above it."""

    threshold_credits: int
    told_at: datetime | None
