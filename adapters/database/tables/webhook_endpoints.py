"""Webhooks to clients: where they go, what is delivered, each attempt, and how far the log has been read."""

from datetime import datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    ForeignKey,
    Index,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field, SQLModel

from adapters.database.tables.columns import (
    count_column,
    flag_column,
    json_column,
    moment_column,
    text_column,
)


class WebhookEndpointRow(SQLModel, table=True):
    """Where a tenant's events go. The one without a URL signs for the addresses that single jobs name.

    Secrets are sealed (adapters/database/sealed.py), and begin with the id of the master key that seals them.
    """

    __tablename__ = "webhook_endpoints"
    __table_args__ = (
        CheckConstraint("is_enabled = (disabled_reason IS NULL)", name="webhook_endpoints_enabled"),
        CheckConstraint(
            "(previous_secret IS NULL) = (previous_until IS NULL)", name="webhook_endpoints_previous"
        ),
        Index(
            "webhook_endpoints_by_tenant",
            "tenant_id",
            "created_at",
            "id",
            postgresql_where=text("deleted_at IS NULL"),
        ),
        Index(
            "webhook_endpoints_of_jobs",
            "tenant_id",
            unique=True,
            postgresql_where=text("url IS NULL AND deleted_at IS NULL"),
        ),
    )

    id: str = Field(sa_column=text_column(primary_key=True))
    tenant_id: str = Field(sa_column=text_column(ForeignKey("tenants.id", ondelete="RESTRICT")))
    url: str | None = Field(default=None, sa_column=text_column(nullable=True))
    description: str = Field(default="", sa_column=Column(Text, nullable=False, server_default=text("''")))
    event_types: list[str] = Field(default_factory=list, sa_column=json_column("'[]'"))
    secret: str = Field(sa_column=text_column())
    hint: str = Field(sa_column=text_column())
    rotated_at: datetime = Field(default=None, sa_column=moment_column(nullable=False))
    previous_secret: str | None = Field(default=None, sa_column=text_column(nullable=True))
    previous_until: datetime | None = Field(default=None, sa_column=moment_column())
    is_enabled: bool = Field(default=True, sa_column=flag_column(default=True))
    disabled_reason: str | None = Field(default=None, sa_column=text_column(nullable=True))
    # The first failure after the last success.
    failing_since: datetime | None = Field(default=None, sa_column=moment_column())
    created_at: datetime = Field(default=None, sa_column=moment_column(nullable=False))
    deleted_at: datetime | None = Field(default=None, sa_column=moment_column())


class DeliveryRow(SQLModel, table=True):
    """One event on its way to one endpoint. It has all of the event that is sent: the log forgets sooner."""

    __tablename__ = "deliveries"
    __table_args__ = (
        UniqueConstraint("endpoint_id", "event_id"),
        CheckConstraint(
            "status IN ('pending', 'succeeded', 'failed', 'exhausted', 'canceled')", name="deliveries_status"
        ),
        CheckConstraint("(status = 'pending') = (finished_at IS NULL)", name="deliveries_finished"),
        Index("deliveries_by_endpoint", "endpoint_id", text("created_at DESC"), text("id DESC")),
        Index("deliveries_by_tenant", "tenant_id", "id"),
        Index(
            "deliveries_unstarted",
            "tenant_id",
            "created_at",
            "id",
            postgresql_where=text("status = 'pending' AND started_at IS NULL"),
        ),
        Index(
            "deliveries_waiting",
            "next_attempt_at",
            postgresql_where=text("status = 'pending' AND started_at IS NOT NULL"),
        ),
        Index("deliveries_ended", "finished_at", postgresql_where=text("finished_at IS NOT NULL")),
    )

    id: str = Field(sa_column=text_column(primary_key=True))
    tenant_id: str = Field(sa_column=text_column(ForeignKey("tenants.id", ondelete="RESTRICT")))
    endpoint_id: str = Field(sa_column=text_column(ForeignKey("webhook_endpoints.id", ondelete="RESTRICT")))
    event_id: int | None = Field(default=None, sa_column=Column(BigInteger))
    generation_id: str | None = Field(default=None, sa_column=text_column(nullable=True))
    number: int | None = Field(default=None, sa_column=Column(BigInteger))
    type: str = Field(sa_column=text_column())
    data: dict[str, Any] = Field(sa_column=Column(JSONB, nullable=False))
    # Of one that a single job names.
    url: str | None = Field(default=None, sa_column=text_column(nullable=True))
    status: str = Field(default="pending", sa_column=text_column())
    # How often a workflow was to be started for it, and how many requests were made in all.
    run: int = Field(default=1, sa_column=count_column(1))
    attempts: int = Field(default=0, sa_column=count_column(0))
    occurred_at: datetime = Field(default=None, sa_column=moment_column(nullable=False))
    created_at: datetime = Field(default=None, sa_column=moment_column(nullable=False))
    started_at: datetime | None = Field(default=None, sa_column=moment_column())
    # While it is pending: since when, or from when on, an attempt is due.
    next_attempt_at: datetime | None = Field(default=None, sa_column=moment_column())
    finished_at: datetime | None = Field(default=None, sa_column=moment_column())


class DeliveryAttemptRow(SQLModel, table=True):
    """One request of a delivery, and what came of it."""

    __tablename__ = "delivery_attempts"
    __table_args__ = (CheckConstraint("length(excerpt) <= 200", name="delivery_attempts_excerpt"),)

    delivery_id: str = Field(
        sa_column=text_column(ForeignKey("deliveries.id", ondelete="CASCADE"), primary_key=True)
    )
    number: int = Field(sa_column=Column(BigInteger, primary_key=True, autoincrement=False))
    at: datetime = Field(default=None, sa_column=moment_column(nullable=False))
    response_status: int | None = Field(default=None, sa_column=Column(BigInteger))
    duration_ms: int = Field(sa_column=count_column())
    error_code: str | None = Field(default=None, sa_column=text_column(nullable=True))
    excerpt: str = Field(default="", sa_column=Column(Text, nullable=False, server_default=text("''")))


class EventCursorRow(SQLModel, table=True):
    """Up to which event a reader of the whole log has come."""

    __tablename__ = "event_cursors"

    name: str = Field(sa_column=text_column(primary_key=True))
    transaction_id: int = Field(sa_column=count_column())
    event_id: int = Field(sa_column=count_column())
