"""A tenant's account, its lots, and below which balances it is told."""

from datetime import datetime
from typing import Annotated

from pydantic import BaseModel, Field

from api.http.schemas.fields import RequestBody, WholeNumber
from domain.credits import AccountKind, TransferKind
from domain.lots import MAX_GRANT_CREDITS, MAX_THRESHOLDS, LotCategory, LotStatus


class ExpiryView(BaseModel):
    """Credits that are gone at this moment, unless they are spent or held before."""

    credits: int
    expires_at: datetime


class ThresholdView(BaseModel):
    """A balance below which `credits.low` is told once. `told_at` is null while it is to be told."""

    threshold_credits: int
    told_at: datetime | None


class BalanceView(BaseModel):
    """A tenant's credits.

    Attributes:
        available: What may be spent now: what is not effective yet, and what has expired, is not in it.
        held: For open jobs.
        spent: In all.
        owed: What was taken back after it was spent; the next grant pays it first.
        upcoming: Granted, and not effective yet.
        next_expiry: Which of the credits are lost first; null if none expire.
    """

    available: int
    held: int
    spent: int
    owed: int
    upcoming: int
    next_expiry: ExpiryView | None
    thresholds: list[ThresholdView]


class LotAmountView(BaseModel):
    """What of an entry's amount went into a lot, or came from it."""

    lot_id: str
    amount: int


class EntryView(BaseModel):
    """One line of a tenant's account.

    Attributes:
        generation_id: The job, if it belongs to one.
        reference: What a grant or a withdrawal was called; of a take-back, that of the payment and its own.
        lots: Which lots the amount went into, or came from; empty for what is older than lots.
    """

    id: int
    transfer_id: str
    kind: TransferKind
    account: AccountKind
    amount: int
    balance_after: int
    generation_id: str | None
    reference: str | None
    lots: list[LotAmountView]
    created_at: datetime


class EntryPage(BaseModel):
    """Newest first. `next_cursor` is null on the last page."""

    data: list[EntryView]
    next_cursor: str | None


class LotView(BaseModel):
    """The credits of one grant, and where they are now.

    `granted` = `remaining` + `held` + `spent` + `expired` + `voided` + `withdrawn` + `taken_back` + `repaid`.

    Attributes:
        reference: What whoever granted it called it; empty for what was there before there were lots.
        priority: 0 to 100; the lowest is spent first.
        repaid: What paid for credits that were owed.
        owed: What was taken back of it after it was spent, and is not paid yet; in no sum.
        expires_at: Null if it does not expire.
    """

    id: str
    status: LotStatus
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


class LotPage(BaseModel):
    """Newest first. `next_cursor` is null on the last page."""

    data: list[LotView]
    next_cursor: str | None


class ThresholdList(BaseModel):
    """The highest first."""

    data: list[ThresholdView]


class ThresholdsUpdate(RequestBody):
    """The body of `PUT /v1/credits/thresholds`: all that there are to be."""

    thresholds: Annotated[
        list[Annotated[WholeNumber, Field(ge=1, le=MAX_GRANT_CREDITS)]], Field(max_length=MAX_THRESHOLDS)
    ]
