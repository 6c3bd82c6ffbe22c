"""Lots: credits by where they came from, until when they may be spent, and what became of them."""

from datetime import datetime

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    ForeignKey,
    Identity,
    Index,
    UniqueConstraint,
    text,
)
from sqlmodel import Field, SQLModel

from adapters.database.tables.columns import count_column, moment_column, text_column

# Every credit of a lot is in one of these.
PARTS = (
    *("remaining_credits", "held_credits", "spent_credits", "expired_credits", "voided_credits"),
    *("withdrawn_credits", "taken_back_credits", "repaid_credits"),
)


class LotRow(SQLModel, table=True):
    """The credits of one grant. Changed only under the lock of its tenant's available account.

    Attributes:
        grant_id: Its transfer; None for what a tenant had before there were lots.
        reference: What whoever granted it called it; empty for what was there before.
        priority: 0 to 100, the lowest is spent first.
        remaining_credits: Those that may be held. All of a tenant's add up to its available account.
        repaid_credits: Those that paid what the tenant owed.
        owed_credits: What was taken back of it and was not there any more, less what was paid of that. In no
            sum of its own lot; all of a tenant's add up to its owed account.
        expired_at: When what remained was taken away. What comes back of a hold after that goes the same way.
        closed_at: When its last credit had left it. Only a take-back opens it again, for what is owed.
    """

    __tablename__ = "lots"
    __table_args__ = (
        UniqueConstraint("grant_id"),
        CheckConstraint("category IN ('paid', 'promotional')", name="lots_category"),
        CheckConstraint("priority BETWEEN 0 AND 100", name="lots_priority"),
        CheckConstraint("expires_at > effective_at", name="lots_lifetime"),
        CheckConstraint(f"granted_credits = {' + '.join(PARTS)}", name="lots_add_up"),
        CheckConstraint(
            " AND ".join(f"{part} >= 0" for part in (*PARTS, "owed_credits")), name="lots_no_overdraft"
        ),
        CheckConstraint(
            "closed_at IS NULL OR remaining_credits + held_credits + owed_credits = 0", name="lots_closed"
        ),
        # In the order in which credits are spent: `promotional` comes before `paid`.
        Index(
            "lots_in_order",
            "tenant_id",
            "priority",
            "expires_at",
            text("category DESC"),
            "created_at",
            "id",
            postgresql_where=text("closed_at IS NULL"),
        ),
        Index("lots_by_start", "tenant_id", "effective_at", postgresql_where=text("closed_at IS NULL")),
        Index("lots_by_expiry", "tenant_id", "expires_at", postgresql_where=text("closed_at IS NULL")),
        Index(
            "lots_to_expire",
            "expires_at",
            postgresql_where=text("closed_at IS NULL AND expired_at IS NULL AND voided_at IS NULL"),
        ),
        Index("lots_to_begin", "effective_at", postgresql_where=text("begun_at IS NULL")),
        Index("lots_by_tenant", "tenant_id", "created_at", "id"),
    )

    id: str = Field(sa_column=text_column(primary_key=True))
    tenant_id: str = Field(sa_column=text_column(ForeignKey("tenants.id", ondelete="RESTRICT")))
    grant_id: str | None = Field(
        default=None, sa_column=text_column(ForeignKey("transfers.id", ondelete="RESTRICT"), nullable=True)
    )
    reference: str = Field(sa_column=text_column())
    category: str = Field(sa_column=text_column())
    priority: int = Field(sa_column=count_column())
    granted_credits: int = Field(sa_column=count_column())
    remaining_credits: int = Field(sa_column=count_column())
    held_credits: int = Field(default=0, sa_column=count_column(0))
    spent_credits: int = Field(default=0, sa_column=count_column(0))
    expired_credits: int = Field(default=0, sa_column=count_column(0))
    voided_credits: int = Field(default=0, sa_column=count_column(0))
    withdrawn_credits: int = Field(default=0, sa_column=count_column(0))
    taken_back_credits: int = Field(default=0, sa_column=count_column(0))
    repaid_credits: int = Field(default=0, sa_column=count_column(0))
    owed_credits: int = Field(default=0, sa_column=count_column(0))
    effective_at: datetime = Field(default=None, sa_column=moment_column(nullable=False))
    expires_at: datetime | None = Field(default=None, sa_column=moment_column())
    created_at: datetime = Field(default=None, sa_column=moment_column(nullable=False))
    # When it was noticed that it may be spent: thresholds below the balance are then told again.
    begun_at: datetime | None = Field(default=None, sa_column=moment_column())
    expired_at: datetime | None = Field(default=None, sa_column=moment_column())
    voided_at: datetime | None = Field(default=None, sa_column=moment_column())
    closed_at: datetime | None = Field(default=None, sa_column=moment_column())


class LotEntryRow(SQLModel, table=True):
    """What one transfer changed in one lot, never changed.

    What leaves a lot, or comes into it, is the sum of both changes; the kind of the transfer says whereto.
    """

    __tablename__ = "lot_entries"
    __table_args__ = (UniqueConstraint("transfer_id", "lot_id"), Index("lot_entries_by_lot", "lot_id", "id"))

    id: int | None = Field(default=None, sa_column=Column(BigInteger, Identity(), primary_key=True))
    lot_id: str = Field(sa_column=text_column(ForeignKey("lots.id", ondelete="RESTRICT")))
    # None for what a lot began with when lots were introduced.
    transfer_id: str | None = Field(
        default=None, sa_column=text_column(ForeignKey("transfers.id", ondelete="RESTRICT"), nullable=True)
    )
    remaining_change: int = Field(sa_column=count_column())
    held_change: int = Field(sa_column=count_column())


class PaymentRow(SQLModel, table=True):
    """A payment that a billing system named. A reference is one payment of one tenant, in all of the service.

    lot_id: None until it is granted: a refund of it may come first. Those from before lots share one.
    """

    __tablename__ = "payments"
    __table_args__ = (
        CheckConstraint("(lot_id IS NULL) = (granted_credits IS NULL)", name="payments_granted"),
        Index("payments_by_tenant", "tenant_id"),
        Index("payments_by_lot", "lot_id"),
    )

    reference: str = Field(sa_column=text_column(primary_key=True))
    tenant_id: str = Field(sa_column=text_column(ForeignKey("tenants.id", ondelete="RESTRICT")))
    lot_id: str | None = Field(
        default=None, sa_column=text_column(ForeignKey("lots.id", ondelete="RESTRICT"), nullable=True)
    )
    granted_credits: int | None = Field(default=None, sa_column=Column(BigInteger))
    created_at: datetime = Field(default=None, sa_column=moment_column(nullable=False))


class TakeBackRow(SQLModel, table=True):
    """A refund or chargeback of a payment.

    Attributes:
        reference: The refund's own, so that it counts once.
        amount_credits: None for all of the payment.
        applied_credits: How much of the payment it settled; None until that is granted.
        owed_credits: How much of that was not there any more, and is owed.
    """

    __tablename__ = "take_backs"
    __table_args__ = (CheckConstraint("amount_credits > 0", name="take_backs_amount"),)

    payment_reference: str = Field(
        sa_column=text_column(ForeignKey("payments.reference", ondelete="RESTRICT"), primary_key=True)
    )
    reference: str = Field(sa_column=text_column(primary_key=True))
    amount_credits: int | None = Field(default=None, sa_column=Column(BigInteger))
    applied_credits: int | None = Field(default=None, sa_column=Column(BigInteger))
    owed_credits: int | None = Field(default=None, sa_column=Column(BigInteger))
    created_at: datetime = Field(default=None, sa_column=moment_column(nullable=False))
    applied_at: datetime | None = Field(default=None, sa_column=moment_column())


class CreditThresholdRow(SQLModel, table=True):
    """A balance below which a tenant is told, once, until a grant lifts it above again."""

    __tablename__ = "credit_thresholds"
    __table_args__ = (CheckConstraint("threshold_credits > 0", name="credit_thresholds_amount"),)

    tenant_id: str = Field(
        sa_column=text_column(ForeignKey("tenants.id", ondelete="RESTRICT"), primary_key=True)
    )
    threshold_credits: int = Field(
        sa_column=Column(BigInteger, primary_key=True, autoincrement=False, nullable=False)
    )
    told_at: datetime | None = Field(default=None, sa_column=moment_column())
