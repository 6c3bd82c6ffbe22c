"""The tables, as SQLModel classes. `migrations/` makes them; a test holds that both agree."""

from datetime import datetime
from typing import Any, ClassVar

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    DateTime,
    ForeignKey,
    Identity,
    Index,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlmodel import Field, SQLModel

_TERMINAL = "('completed', 'failed', 'canceled')"


def _moment(*, nullable: bool = True) -> Any:
    """An aware UTC moment. The database's clock sets it, so that hosts' clocks are never compared."""
    default = None if nullable else text("now()")
    return Column(DateTime(timezone=True), nullable=nullable, server_default=default)


def _text(*arguments: Any, nullable: bool = False, primary_key: bool = False) -> Any:
    return Column(Text, *arguments, nullable=nullable, primary_key=primary_key)


def _count(default: int | None = None) -> Any:
    return Column(BigInteger, nullable=False, server_default=None if default is None else text(str(default)))


class TenantRow(SQLModel, table=True):
    """Whoever generations, keys and credits belong to."""

    __tablename__ = "tenants"

    id: str = Field(sa_column=_text(primary_key=True))
    name: str = Field(sa_column=_text())
    created_at: datetime = Field(default=None, sa_column=_moment(nullable=False))


class ApiKeyRow(SQLModel, table=True):
    """An API key. The secret is kept as SHA-256: it is 32 random bytes, so a slow hash adds nothing."""

    __tablename__ = "api_keys"

    id: str = Field(sa_column=_text(primary_key=True))
    tenant_id: str = Field(sa_column=_text(ForeignKey("tenants.id", ondelete="RESTRICT")))
    secret_sha256: str = Field(sa_column=_text())
    scopes: list[str] = Field(sa_column=Column(ARRAY(Text), nullable=False))
    created_at: datetime = Field(default=None, sa_column=_moment(nullable=False))
    revoked_at: datetime | None = Field(default=None, sa_column=_moment())


class AccountRow(SQLModel, table=True):
    """One of a tenant's four accounts. The balance is a projection of its entries."""

    __tablename__ = "accounts"
    __table_args__ = (
        UniqueConstraint("tenant_id", "kind"),
        CheckConstraint("kind IN ('issued', 'available', 'held', 'spent')", name="accounts_kind"),
        CheckConstraint(
            "CASE WHEN kind = 'issued' THEN balance_credits <= 0 ELSE balance_credits >= 0 END",
            name="accounts_no_overdraft",
        ),
    )

    id: str = Field(sa_column=_text(primary_key=True))
    tenant_id: str = Field(sa_column=_text(ForeignKey("tenants.id", ondelete="RESTRICT")))
    kind: str = Field(sa_column=_text())
    balance_credits: int = Field(sa_column=_count(0))


class TransferRow(SQLModel, table=True):
    """One movement of credits, never changed. Ids are made from what moves, so a repeat collides."""

    __tablename__ = "transfers"
    __table_args__ = (
        CheckConstraint("kind IN ('grant', 'hold', 'settle', 'refund', 'expire')", name="transfers_kind"),
        CheckConstraint("amount_credits >= 0", name="transfers_amount"),
        CheckConstraint("(kind = 'grant') = (hold_id IS NULL)", name="transfers_hold"),
        CheckConstraint("(kind = 'grant') = (generation_id IS NULL)", name="transfers_generation"),
        # The guarantee behind "a hold is resolved exactly once".
        Index(
            "transfers_one_resolution",
            "hold_id",
            unique=True,
            postgresql_where=text("kind <> 'hold'"),
        ),
        Index("transfers_one_hold", "generation_id", unique=True, postgresql_where=text("kind = 'hold'")),
        Index("transfers_by_generation", "generation_id"),
    )

    id: str = Field(sa_column=_text(primary_key=True))
    tenant_id: str = Field(sa_column=_text(ForeignKey("tenants.id", ondelete="RESTRICT")))
    kind: str = Field(sa_column=_text())
    hold_id: str | None = Field(
        default=None, sa_column=_text(ForeignKey("transfers.id", ondelete="RESTRICT"), nullable=True)
    )
    generation_id: str | None = Field(
        default=None, sa_column=_text(ForeignKey("generations.id", ondelete="RESTRICT"), nullable=True)
    )
    amount_credits: int = Field(sa_column=_count())
    created_at: datetime = Field(default=None, sa_column=_moment(nullable=False))


class EntryRow(SQLModel, table=True):
    """One side of a transfer, never changed. The entries of a transfer add up to zero."""

    __tablename__ = "entries"
    __table_args__ = (
        UniqueConstraint("transfer_id", "account_id"),
        Index("entries_by_account", "account_id", "id"),
    )

    id: int | None = Field(default=None, sa_column=Column(BigInteger, Identity(), primary_key=True))
    transfer_id: str = Field(sa_column=_text(ForeignKey("transfers.id", ondelete="RESTRICT")))
    account_id: str = Field(sa_column=_text(ForeignKey("accounts.id", ondelete="RESTRICT")))
    amount_credits: int = Field(sa_column=_count())
    balance_after: int = Field(sa_column=_count())


class GenerationRow(SQLModel, table=True):
    """A generation: what was asked for, where it stands, how it ended."""

    __tablename__ = "generations"
    __table_args__ = (
        UniqueConstraint("tenant_id", "idempotency_key"),
        CheckConstraint(
            f"status IN ('created', 'queued', 'processing', {_TERMINAL[1:-1]})", name="generations_status"
        ),
        CheckConstraint("n >= 1 AND price_credits >= 0", name="generations_amounts"),
        CheckConstraint(
            "held_credits IN (0, price_credits) AND charged_credits >= 0 AND refunded_credits >= 0"
            " AND charged_credits + refunded_credits <= held_credits",
            name="generations_cost",
        ),
        CheckConstraint(f"(status IN {_TERMINAL}) = (finished_at IS NOT NULL)", name="generations_finished"),
        CheckConstraint("(status = 'failed') = (error_code IS NOT NULL)", name="generations_error"),
        Index("generations_by_tenant", "tenant_id", text("created_at DESC"), text("id DESC")),
        Index("generations_open", "checked_at", postgresql_where=text(f"status NOT IN {_TERMINAL}")),
        Index(
            "generations_unswept",
            "finished_at",
            postgresql_where=text(
                "status IN ('failed', 'canceled') AND storing_at IS NOT NULL AND swept_at IS NULL"
            ),
        ),
    )

    id: str = Field(sa_column=_text(primary_key=True))
    tenant_id: str = Field(sa_column=_text(ForeignKey("tenants.id", ondelete="RESTRICT")))
    idempotency_key: str | None = Field(default=None, sa_column=_text(nullable=True))
    fingerprint: str = Field(sa_column=_text())
    model: str = Field(sa_column=_text())
    provider: str = Field(sa_column=_text())
    endpoint: str = Field(sa_column=_text())
    prompt: str = Field(sa_column=_text())
    parameters: dict[str, Any] = Field(sa_column=Column(JSONB, nullable=False))
    client_metadata: dict[str, str] = Field(sa_column=Column("metadata", JSONB, nullable=False))
    n: int = Field(sa_column=_count())
    price_credits: int = Field(sa_column=_count())
    held_credits: int = Field(default=0, sa_column=_count(0))
    charged_credits: int = Field(default=0, sa_column=_count(0))
    refunded_credits: int = Field(default=0, sa_column=_count(0))
    status: str = Field(sa_column=_text())
    stage: str = Field(sa_column=_text())
    error_code: str | None = Field(default=None, sa_column=_text(nullable=True))
    error_stage: str | None = Field(default=None, sa_column=_text(nullable=True))
    needs_attention: str | None = Field(default=None, sa_column=_text(nullable=True))
    cancel_requested_at: datetime | None = Field(default=None, sa_column=_moment())
    created_at: datetime = Field(default=None, sa_column=_moment(nullable=False))
    queued_at: datetime | None = Field(default=None, sa_column=_moment())
    processing_at: datetime | None = Field(default=None, sa_column=_moment())
    storing_at: datetime | None = Field(default=None, sa_column=_moment())
    finished_at: datetime | None = Field(default=None, sa_column=_moment())
    # When the reconciler last looked at an open generation, and last cleared up behind an ended one.
    checked_at: datetime = Field(default=None, sa_column=_moment(nullable=False))
    swept_at: datetime | None = Field(default=None, sa_column=_moment())


class AttemptRow(SQLModel, table=True):
    """One try at one provider, written before a byte leaves."""

    __tablename__ = "attempts"
    __table_args__ = (
        CheckConstraint("ordinal >= 1", name="attempts_ordinal"),
        CheckConstraint("state IN ('sending', 'accepted', 'rejected', 'not_sent')", name="attempts_state"),
        CheckConstraint("state <> 'accepted' OR provider_job_id IS NOT NULL", name="attempts_job"),
    )

    generation_id: str = Field(
        sa_column=_text(ForeignKey("generations.id", ondelete="RESTRICT"), primary_key=True)
    )
    ordinal: int = Field(sa_column=Column(BigInteger, primary_key=True, autoincrement=False))
    provider: str = Field(sa_column=_text())
    endpoint: str = Field(sa_column=_text())
    state: str = Field(sa_column=_text())
    provider_job_id: str | None = Field(default=None, sa_column=_text(nullable=True))
    provider_urls: dict[str, str] | None = Field(default=None, sa_column=Column(JSONB, nullable=True))
    result: dict[str, Any] | None = Field(default=None, sa_column=Column(JSONB, nullable=True))
    code: str | None = Field(default=None, sa_column=_text(nullable=True))
    provider_message: str | None = Field(default=None, sa_column=_text(nullable=True))
    billable_units: str | None = Field(default=None, sa_column=_text(nullable=True))
    started_at: datetime = Field(default=None, sa_column=_moment(nullable=False))
    answered_at: datetime | None = Field(default=None, sa_column=_moment())


class ImageRow(SQLModel, table=True):
    """One stored image; the object behind `key` has exactly these bytes."""

    __tablename__ = "images"
    __table_args__: ClassVar[Any] = (
        CheckConstraint(
            "index >= 0 AND width > 0 AND height > 0 AND size_bytes > 0 AND length(sha256) = 64",
            name="images_facts",
        ),
    )

    generation_id: str = Field(
        sa_column=_text(ForeignKey("generations.id", ondelete="RESTRICT"), primary_key=True)
    )
    index: int = Field(sa_column=Column(BigInteger, primary_key=True, autoincrement=False))
    key: str = Field(sa_column=Column(Text, nullable=False, unique=True))
    width: int = Field(sa_column=_count())
    height: int = Field(sa_column=_count())
    content_type: str = Field(sa_column=_text())
    size_bytes: int = Field(sa_column=_count())
    sha256: str = Field(sa_column=_text())
    created_at: datetime = Field(default=None, sa_column=_moment(nullable=False))


class InboxRow(SQLModel, table=True):
    """A provider's webhook, kept before anyone is told of it."""

    __tablename__ = "inbox"
    __table_args__ = (
        UniqueConstraint("provider", "event_id"),
        Index("inbox_unrelayed", "received_at", postgresql_where=text("relayed_at IS NULL")),
        Index("inbox_by_generation", "generation_id"),
    )

    id: int | None = Field(default=None, sa_column=Column(BigInteger, Identity(), primary_key=True))
    provider: str = Field(sa_column=_text())
    event_id: str = Field(sa_column=_text())
    generation_id: str = Field(sa_column=_text(ForeignKey("generations.id", ondelete="RESTRICT")))
    ordinal: int = Field(sa_column=_count())
    provider_job_id: str = Field(sa_column=_text())
    verdict: str = Field(sa_column=_text())
    code: str | None = Field(default=None, sa_column=_text(nullable=True))
    result: dict[str, Any] = Field(sa_column=Column(JSONB, nullable=False))
    late: bool = Field(sa_column=Column(Boolean, nullable=False, server_default=text("false")))
    received_at: datetime = Field(default=None, sa_column=_moment(nullable=False))
    relayed_at: datetime | None = Field(default=None, sa_column=_moment())
