"""What billing systems send and read: grants, take-backs, and a tenant's lots."""

from datetime import datetime
from typing import Annotated

from pydantic import BaseModel, Field, StrictInt

from api.http.schemas.fields import Moment, RequestBody, Text
from domain.lots import (
    DEFAULT_PRIORITY,
    MAX_GRANT_CREDITS,
    MAX_PRIORITY,
    MAX_REFERENCE_CHARACTERS,
    LotCategory,
    TakeBackState,
)

# A word that is one part of a path, too, so that what was done can be asked for by it.
REFERENCE_PATTERN = r"^[A-Za-z0-9]([ -~]*[!-~])?$"
TenantName = Annotated[Text, Field(min_length=1, max_length=64)]
Reference = Annotated[str, Field(strict=True, max_length=MAX_REFERENCE_CHARACTERS, pattern=REFERENCE_PATTERN)]
Credits = Annotated[StrictInt, Field(ge=1, le=MAX_GRANT_CREDITS)]


class GrantCreate(RequestBody):
    """Credits that were paid for, or are given.

    Attributes:
        reference: Of the payment, such as the payment provider's id. It counts once in all of the service.
        priority: Lots with the lowest are spent first.
        effective_at: From when they may be spent; left out for now.
        expires_at: When what is not held is taken away; left out for never.
    """

    tenant_id: TenantName
    amount: Credits
    reference: Reference
    category: LotCategory = LotCategory.PAID
    priority: Annotated[StrictInt, Field(ge=0, le=MAX_PRIORITY)] = DEFAULT_PRIORITY
    effective_at: Moment | None = None
    expires_at: Moment | None = None


class TakeBackCreate(RequestBody):
    """A refund or chargeback of a payment.

    Attributes:
        payment_reference: The `reference` of its grant, which may come later.
        reference: The refund's own. It counts once for the payment.
        amount: Left out for all that is left of the payment.
    """

    tenant_id: TenantName
    payment_reference: Reference
    reference: Reference
    amount: Credits | None = None


class GrantView(BaseModel):
    """The lot of a grant. `granted` is the sum of where its credits are: from `remaining` to `repaid`.

    Attributes:
        lot_id: What `expire-lot` and `void-lot` of the commands take.
        remaining: What may be held; some of it not yet, or not any more, by `effective_at` and `expires_at`.
        repaid: What paid for credits that were owed.
        owed: What was taken back and was not there any more, less what was repaid of it since.
        closed_at: When its last credit had left it.
    """

    lot_id: str
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
    expired_at: datetime | None
    voided_at: datetime | None
    closed_at: datetime | None


class TakeBackView(BaseModel):
    """A refund or chargeback.

    Attributes:
        amount: What was asked for; null for all of the payment.
        applied: How much it took back, what is owed included; null while pending.
        state: `pending` until its payment is granted.
    """

    tenant_id: str
    payment_reference: str
    reference: str
    amount: int | None
    applied: int | None
    state: TakeBackState


class PaymentView(BaseModel):
    """What became of a payment. grant: null until it is granted. take_backs: oldest first, at most 100."""

    reference: str
    tenant_id: str
    grant: GrantView | None
    take_backs: list[TakeBackView]


class TenantCreditsView(BaseModel):
    """A tenant's balance and its lots, newest first.

    Attributes:
        available: What may be spent now.
        owed: What was taken back after it was spent. The next grant pays it first.
        upcoming: Granted, and not to be spent yet.
        next_cursor: Null on the last page of lots.
    """

    tenant_id: str
    available: int
    held: int
    spent: int
    owed: int
    upcoming: int
    lots: list[GrantView]
    next_cursor: str | None
