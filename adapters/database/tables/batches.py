"""Batches and their items."""

from datetime import datetime
from typing import Any, ClassVar

from sqlalchemy import BigInteger, CheckConstraint, Column, ForeignKey, Index, UniqueConstraint, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field, SQLModel

from adapters.database.tables.columns import (
    TERMINAL,
    count_column,
    flag_column,
    json_column,
    moment_column,
    text_column,
)

_IS_OPEN = text(f"status NOT IN {TERMINAL}")


class BatchRow(SQLModel, table=True):
    """Generations that a client asked for at once, how they are made, and how all of it ended.

    Attributes:
        checked_at: When the reconciler last looked at it while it was open.
        total_items, completed_items, failed_items, canceled_items, charged_credits: Written with its end.
        errors: Of its file: line, code, field and text of each.
    """

    __tablename__ = "batches"
    __table_args__ = (
        UniqueConstraint("tenant_id", "idempotency_key"),
        CheckConstraint(
            f"status IN ('validating', 'in_progress', 'canceling', {TERMINAL[1:-1]})", name="batches_status"
        ),
        CheckConstraint("concurrency >= 1 AND price_credits >= 0", name="batches_amounts"),
        CheckConstraint(f"(status IN {TERMINAL}) = (finished_at IS NOT NULL)", name="batches_finished"),
        Index("batches_open", "checked_at", postgresql_where=_IS_OPEN),
        Index("batches_open_by_tenant", "tenant_id", postgresql_where=_IS_OPEN),
        Index("batches_listed", "tenant_id", "id"),
        Index(
            "batches_with_content",
            "tenant_id",
            "finished_at",
            postgresql_where=text("finished_at IS NOT NULL AND content_erased_at IS NULL"),
        ),
    )

    id: str = Field(sa_column=text_column(primary_key=True))
    tenant_id: str = Field(sa_column=text_column(ForeignKey("tenants.id", ondelete="RESTRICT")))
    api_key_id: str = Field(sa_column=text_column())
    idempotency_key: str | None = Field(default=None, sa_column=text_column(nullable=True))
    fingerprint: str = Field(sa_column=text_column())
    status: str = Field(sa_column=text_column())
    input_file_id: str | None = Field(default=None, sa_column=text_column(nullable=True))
    endpoint: str | None = Field(default=None, sa_column=text_column(nullable=True))
    client_metadata: dict[str, str] = Field(sa_column=Column("metadata", JSONB, nullable=False))
    concurrency: int = Field(sa_column=count_column())
    max_cost: int | None = Field(default=None, sa_column=Column(BigInteger))
    price_credits: int = Field(default=0, sa_column=count_column(0))
    error_code: str | None = Field(default=None, sa_column=text_column(nullable=True))
    error_count: int = Field(default=0, sa_column=count_column(0))
    errors: list[list[Any]] = Field(default_factory=list, sa_column=json_column("'[]'"))
    created_at: datetime = Field(default=None, sa_column=moment_column(nullable=False))
    started_at: datetime | None = Field(default=None, sa_column=moment_column())
    cancel_requested_at: datetime | None = Field(default=None, sa_column=moment_column())
    finished_at: datetime | None = Field(default=None, sa_column=moment_column())
    checked_at: datetime = Field(default=None, sa_column=moment_column(nullable=False))
    content_erased_at: datetime | None = Field(default=None, sa_column=moment_column())
    total_items: int = Field(default=0, sa_column=count_column(0))
    completed_items: int = Field(default=0, sa_column=count_column(0))
    failed_items: int = Field(default=0, sa_column=count_column(0))
    canceled_items: int = Field(default=0, sa_column=count_column(0))
    charged_credits: int = Field(default=0, sa_column=count_column(0))


class BatchItemRow(SQLModel, table=True):
    """One item of a batch.

    Attributes:
        request: What it asks for, until its generation has that, or it ended without one: it holds a prompt.
        is_attached: Whether the generation was made for another request with the same idempotency key.
    """

    __tablename__ = "batch_items"
    __table_args__: ClassVar[Any] = (
        UniqueConstraint("batch_id", "custom_id"),
        CheckConstraint("state IN ('waiting', 'started', 'failed', 'canceled')", name="batch_items_state"),
        CheckConstraint("(state = 'waiting') = (request IS NOT NULL)", name="batch_items_request"),
        CheckConstraint("state <> 'started' OR generation_id IS NOT NULL", name="batch_items_generation"),
        CheckConstraint("index >= 0 AND price_credits >= 0", name="batch_items_amounts"),
        Index("batch_items_by_state", "batch_id", "state", "index"),
        # The guarantee behind "no item makes two, and no generation belongs to two".
        Index(
            "batch_items_one_generation",
            "generation_id",
            unique=True,
            postgresql_where=text("generation_id IS NOT NULL AND NOT is_attached"),
        ),
        Index("batch_items_attached", "batch_id", postgresql_where=text("is_attached")),
        Index("batch_items_attached_to", "generation_id", postgresql_where=text("is_attached")),
    )

    batch_id: str = Field(
        sa_column=text_column(ForeignKey("batches.id", ondelete="RESTRICT"), primary_key=True)
    )
    index: int = Field(sa_column=Column(BigInteger, primary_key=True, autoincrement=False))
    custom_id: str | None = Field(default=None, sa_column=text_column(nullable=True))
    request: dict[str, Any] | None = Field(default=None, sa_column=Column(JSONB(none_as_null=True)))
    price_credits: int = Field(sa_column=count_column())
    idempotency_key: str | None = Field(default=None, sa_column=text_column(nullable=True))
    state: str = Field(sa_column=text_column())
    generation_id: str | None = Field(
        default=None, sa_column=text_column(ForeignKey("generations.id", ondelete="RESTRICT"), nullable=True)
    )
    is_attached: bool = Field(default=False, sa_column=flag_column())
    error_code: str | None = Field(default=None, sa_column=text_column(nullable=True))
    error_text: str | None = Field(default=None, sa_column=text_column(nullable=True))
