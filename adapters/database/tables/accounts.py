"""Tenants, keys, credits."""

from datetime import date, datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    Date,
    ForeignKey,
    Identity,
    Index,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY
from sqlmodel import Field, SQLModel

from adapters.database.tables.columns import count_column, json_column, moment_column, text_column

OF_A_HOLD = "('hold', 'settle', 'refund', 'expire')"


class TenantRow(SQLModel, table=True):
    """The owner of generations, keys and credits."""

    __tablename__ = "tenants"

    id: str = Field(sa_column=text_column(primary_key=True))
    name: str = Field(sa_column=text_column())
    created_at: datetime = Field(default=None, sa_column=moment_column(nullable=False))
    suspended_at: datetime | None = Field(default=None, sa_column=moment_column())
    erasure_requested_at: datetime | None = Field(default=None, sa_column=moment_column())
    erased_at: datetime | None = Field(default=None, sa_column=moment_column())
    # What differs from the installation's settings: domain/tenant.py.
    limits: dict[str, float] = Field(default_factory=dict, sa_column=json_column("'{}'"))
    retention_days: dict[str, float | None] = Field(default_factory=dict, sa_column=json_column("'{}'"))
    # Up to which end of a generation each kind of data has been erased, in ISO 8601.
    erased_until: dict[str, str] = Field(default_factory=dict, sa_column=json_column("'{}'"))


class ApiKeyRow(SQLModel, table=True):
    """An API key. The secret is kept as SHA-256: it is 32 random bytes, so a slow hash adds nothing."""

    __tablename__ = "api_keys"
    __table_args__ = (Index("api_keys_by_tenant", "tenant_id", "created_at", "id"),)

    id: str = Field(sa_column=text_column(primary_key=True))
    tenant_id: str = Field(sa_column=text_column(ForeignKey("tenants.id", ondelete="RESTRICT")))
    secret_sha256: str = Field(sa_column=text_column())
    scopes: list[str] = Field(sa_column=Column(ARRAY(Text), nullable=False))
    created_at: datetime = Field(default=None, sa_column=moment_column(nullable=False))
    revoked_at: datetime | None = Field(default=None, sa_column=moment_column())
    name: str = Field(default="", sa_column=Column(Text, nullable=False, server_default=text("''")))
    limits: dict[str, float] = Field(default_factory=dict, sa_column=json_column("'{}'"))
    expires_at: datetime | None = Field(default=None, sa_column=moment_column())
    last_used_at: datetime | None = Field(default=None, sa_column=moment_column())
    # What its jobs of a month (UTC) may cost, and what its open jobs may hold; None for no cap.
    monthly_budget_credits: int | None = Field(default=None, sa_column=Column(BigInteger))
    max_held_credits: int | None = Field(default=None, sa_column=Column(BigInteger))
    # The key that made it; None for an operator.
    created_by: str | None = Field(default=None, sa_column=text_column(nullable=True))


class AccountRow(SQLModel, table=True):
    """One of a tenant's accounts: four, and one more once something was owed.

    The balance is a projection of its entries.

    low_at_credits: Of the available account: the highest threshold that is not told, None if there is none.
    """

    __tablename__ = "accounts"
    __table_args__ = (
        UniqueConstraint("tenant_id", "kind"),
        CheckConstraint("kind IN ('issued', 'available', 'held', 'spent', 'owed')", name="accounts_kind"),
        CheckConstraint(
            "CASE WHEN kind IN ('issued', 'owed') THEN balance_credits <= 0 ELSE balance_credits >= 0 END",
            name="accounts_no_overdraft",
        ),
    )

    id: str = Field(sa_column=text_column(primary_key=True))
    tenant_id: str = Field(sa_column=text_column(ForeignKey("tenants.id", ondelete="RESTRICT")))
    kind: str = Field(sa_column=text_column())
    balance_credits: int = Field(sa_column=count_column(0))
    low_at_credits: int | None = Field(default=None, sa_column=Column(BigInteger))


class TransferRow(SQLModel, table=True):
    """One movement of credits, never changed. Ids are made from what moves, so a repeat collides."""

    __tablename__ = "transfers"
    __table_args__ = (
        CheckConstraint(
            "kind IN ('grant', 'withdraw', 'expire_lot', 'void_lot', 'take_back', 'repay',"
            " 'hold', 'settle', 'refund', 'expire')",
            name="transfers_kind",
        ),
        CheckConstraint("amount_credits >= 0", name="transfers_amount"),
        CheckConstraint(f"(kind IN {OF_A_HOLD}) = (hold_id IS NOT NULL)", name="transfers_hold"),
        # What comes back of a hold to a lot that is over goes on at once, and names the generation too.
        CheckConstraint(
            "kind IN ('expire_lot', 'void_lot', 'repay')"
            f" OR (kind IN {OF_A_HOLD}) = (generation_id IS NOT NULL)",
            name="transfers_generation",
        ),
        # The guarantee behind "a hold is resolved exactly once".
        Index(
            "transfers_one_resolution",
            "hold_id",
            unique=True,
            postgresql_where=text("kind <> 'hold'"),
        ),
        Index("transfers_one_hold", "generation_id", unique=True, postgresql_where=text("kind = 'hold'")),
        Index("transfers_by_generation", "generation_id"),
        # For statements: what stands at the edge of a month, and the movements of no hold, which are few.
        Index("transfers_by_tenant", "tenant_id", "created_at"),
        Index("transfers_of_no_hold", "tenant_id", "created_at", postgresql_where=text("hold_id IS NULL")),
    )

    id: str = Field(sa_column=text_column(primary_key=True))
    tenant_id: str = Field(sa_column=text_column(ForeignKey("tenants.id", ondelete="RESTRICT")))
    kind: str = Field(sa_column=text_column())
    hold_id: str | None = Field(
        default=None, sa_column=text_column(ForeignKey("transfers.id", ondelete="RESTRICT"), nullable=True)
    )
    generation_id: str | None = Field(
        default=None, sa_column=text_column(ForeignKey("generations.id", ondelete="RESTRICT"), nullable=True)
    )
    amount_credits: int = Field(sa_column=count_column())
    created_at: datetime = Field(default=None, sa_column=moment_column(nullable=False))


class EntryRow(SQLModel, table=True):
    """One side of a transfer, never changed. The entries of a transfer add up to zero."""

    __tablename__ = "entries"
    __table_args__ = (
        UniqueConstraint("transfer_id", "account_id"),
        Index("entries_by_account", "account_id", "id"),
    )

    id: int | None = Field(default=None, sa_column=Column(BigInteger, Identity(), primary_key=True))
    transfer_id: str = Field(sa_column=text_column(ForeignKey("transfers.id", ondelete="RESTRICT")))
    account_id: str = Field(sa_column=text_column(ForeignKey("accounts.id", ondelete="RESTRICT")))
    amount_credits: int = Field(sa_column=count_column())
    balance_after: int = Field(sa_column=count_column())


class UnchargedCostRow(SQLModel, table=True):
    """What a tenant had providers do in a day (UTC) that was neither delivered nor charged."""

    __tablename__ = "uncharged_costs"
    __table_args__ = (Index("uncharged_costs_by_day", "day"),)

    tenant_id: str = Field(
        sa_column=text_column(ForeignKey("tenants.id", ondelete="RESTRICT"), primary_key=True)
    )
    day: date = Field(sa_column=Column(Date, primary_key=True))
    generations: int = Field(sa_column=count_column(0))
    # Of the prices: what a provider asks is seldom known, and the operator's price stands for it.
    price_credits: int = Field(sa_column=count_column(0))


class AuditEventRow(SQLModel, table=True):
    """One action of an operator or on a key, never changed. Holds no secret and no content."""

    __tablename__ = "audit_events"
    __table_args__ = (Index("audit_events_by_tenant", "tenant_id", "id"),)

    id: int | None = Field(default=None, sa_column=Column(BigInteger, Identity(), primary_key=True))
    at: datetime = Field(default=None, sa_column=moment_column(nullable=False))
    actor: str = Field(sa_column=text_column())
    action: str = Field(sa_column=text_column())
    tenant_id: str | None = Field(default=None, sa_column=text_column(nullable=True))
    subject: str = Field(sa_column=text_column())
    reason: str = Field(sa_column=text_column())
    details: dict[str, Any] = Field(default_factory=dict, sa_column=json_column("'{}'"))
