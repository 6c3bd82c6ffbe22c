"""A generation and what belongs to it."""

from datetime import datetime
from decimal import Decimal
from typing import Any, ClassVar

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    ForeignKey,
    Identity,
    Index,
    LargeBinary,
    Numeric,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field, SQLModel

from adapters.database.tables.columns import (
    CHARGE_POLICIES,
    TERMINAL,
    count_column,
    flag_column,
    json_column,
    moment_column,
    policy_column,
    text_column,
)
from domain.attempt import AttemptState


class GenerationRow(SQLModel, table=True):
    """A generation: what was asked for, where it stands, how it ended."""

    __tablename__ = "generations"
    __table_args__ = (
        UniqueConstraint("tenant_id", "idempotency_key"),
        CheckConstraint(
            f"status IN ('created', 'queued', 'processing', {TERMINAL[1:-1]})", name="generations_status"
        ),
        CheckConstraint("n >= 1 AND price_credits >= 0", name="generations_amounts"),
        CheckConstraint(
            "held_credits IN (0, price_credits) AND charged_credits >= 0 AND refunded_credits >= 0"
            " AND charged_credits + refunded_credits <= held_credits",
            name="generations_cost",
        ),
        CheckConstraint(f"(status IN {TERMINAL}) = (finished_at IS NOT NULL)", name="generations_finished"),
        CheckConstraint("(status = 'failed') = (error_code IS NOT NULL)", name="generations_error"),
        Index(
            "generations_listed",
            "tenant_id",
            text("created_at DESC"),
            text("id DESC"),
            postgresql_where=text("deleted_at IS NULL"),
        ),
        Index(
            "generations_listed_by_status",
            "tenant_id",
            "status",
            text("created_at DESC"),
            text("id DESC"),
            postgresql_where=text("deleted_at IS NULL"),
        ),
        Index("generations_open", "checked_at", postgresql_where=text(f"status NOT IN {TERMINAL}")),
        Index("generations_not_started", "checked_at", postgresql_where=text("status = 'created'")),
        Index(
            "generations_to_cancel",
            "checked_at",
            postgresql_where=text(f"cancel_requested_at IS NOT NULL AND status NOT IN {TERMINAL}"),
        ),
        # By the moment itself: sums of a moment with a time zone and an interval have no index.
        Index(
            "generations_past_cancel_at",
            text("((created_at AT TIME ZONE 'UTC') + cancel_after_seconds * interval '1 second')"),
            postgresql_where=text(f"cancel_after_seconds IS NOT NULL AND status NOT IN {TERMINAL}"),
        ),
        Index(
            "generations_with_images_to_expire",
            "images_expire_at",
            postgresql_where=text("images_expire_at IS NOT NULL AND images_erased_at IS NULL"),
        ),
        Index(
            "generations_by_stage", "stage", "moved_at", postgresql_where=text(f"status NOT IN {TERMINAL}")
        ),
        CheckConstraint(
            f"cancel_after_submit IN {CHARGE_POLICIES} AND moderation IN {CHARGE_POLICIES}",
            name="generations_charging",
        ),
        Index(
            "generations_by_end",
            "tenant_id",
            "finished_at",
            "id",
            postgresql_where=text("finished_at IS NOT NULL AND deleted_at IS NULL"),
        ),
        # The newest of a model, for how long its jobs take.
        Index("generations_completed", "model", "finished_at", postgresql_where=text("status = 'completed'")),
        Index("generations_plain_fingerprint", "id", postgresql_where=text("length(fingerprint) = 64")),
        Index("generations_of_batch", "batch_id", "status", postgresql_where=text("batch_id IS NOT NULL")),
        Index("generations_flagged", "needs_attention", postgresql_where=text("needs_attention IS NOT NULL")),
        Index(
            "generations_with_objects_to_delete",
            "finished_at",
            postgresql_where=text(
                "(status IN ('failed', 'canceled') OR images_erased_at IS NOT NULL)"
                " AND storing_at IS NOT NULL AND objects_deleted_at IS NULL"
            ),
        ),
    )

    id: str = Field(sa_column=text_column(primary_key=True))
    tenant_id: str = Field(sa_column=text_column(ForeignKey("tenants.id", ondelete="RESTRICT")))
    idempotency_key: str | None = Field(default=None, sa_column=text_column(nullable=True))
    fingerprint: str = Field(sa_column=text_column())
    model: str = Field(sa_column=text_column())
    provider: str = Field(sa_column=text_column())
    endpoint: str = Field(sa_column=text_column())
    prompt: str = Field(sa_column=text_column())
    parameters: dict[str, Any] = Field(sa_column=Column(JSONB, nullable=False))
    client_metadata: dict[str, str] = Field(sa_column=Column("metadata", JSONB, nullable=False))
    n: int = Field(sa_column=count_column())
    price_credits: int = Field(sa_column=count_column())
    held_credits: int = Field(default=0, sa_column=count_column(0))
    charged_credits: int = Field(default=0, sa_column=count_column(0))
    refunded_credits: int = Field(default=0, sa_column=count_column(0))
    status: str = Field(sa_column=text_column())
    stage: str = Field(sa_column=text_column())
    error_code: str | None = Field(default=None, sa_column=text_column(nullable=True))
    error_stage: str | None = Field(default=None, sa_column=text_column(nullable=True))
    needs_attention: str | None = Field(default=None, sa_column=text_column(nullable=True))
    cancel_requested_at: datetime | None = Field(default=None, sa_column=moment_column())
    created_at: datetime = Field(default=None, sa_column=moment_column(nullable=False))
    queued_at: datetime | None = Field(default=None, sa_column=moment_column())
    processing_at: datetime | None = Field(default=None, sa_column=moment_column())
    storing_at: datetime | None = Field(default=None, sa_column=moment_column())
    finished_at: datetime | None = Field(default=None, sa_column=moment_column())
    # When the reconciler last checked it while open, and deleted its orphaned objects after it ended.
    checked_at: datetime = Field(default=None, sa_column=moment_column(nullable=False))
    objects_deleted_at: datetime | None = Field(default=None, sa_column=moment_column())
    # Ids of files, in the client's order, and of the mask.
    inputs: list[str] = Field(default_factory=list, sa_column=json_column("'[]'"))
    mask: str | None = Field(default=None, sa_column=text_column(nullable=True))
    # The same request as another provider's model takes it, where the client's model names one.
    fallback: dict[str, Any] | None = Field(default=None, sa_column=Column(JSONB(none_as_null=True)))
    # Read by processes of the version before; what holds is `moderation`.
    charges_rejected: bool = Field(default=False, sa_column=flag_column())
    undelivered: list[list[Any]] = Field(default_factory=list, sa_column=json_column("'[]'"))
    # When the stage changed last.
    moved_at: datetime = Field(default=None, sa_column=moment_column(nullable=False))
    # What is paid for work that is not delivered: domain/charging.py.
    cancel_after_submit: str = Field(default="refund", sa_column=policy_column())
    moderation: str = Field(default="refund", sa_column=policy_column())
    credits_per_cost_unit: dict[str, float] = Field(default_factory=dict, sa_column=json_column("'{}'"))
    # The policies of the fallback's model, for what its provider had taken on.
    fallback_charging: dict[str, Any] | None = Field(default=None, sa_column=Column(JSONB(none_as_null=True)))
    # When the client deleted it; when its texts, its images and what its provider said went, for any reason.
    deleted_at: datetime | None = Field(default=None, sa_column=moment_column())
    content_erased_at: datetime | None = Field(default=None, sa_column=moment_column())
    images_erased_at: datetime | None = Field(default=None, sa_column=moment_column())
    provider_data_erased_at: datetime | None = Field(default=None, sa_column=moment_column())
    # What its client says beside what to make: domain/controls.py.
    cancel_after_seconds: int | None = Field(default=None, sa_column=Column(BigInteger))
    start_within_seconds: int | None = Field(default=None, sa_column=Column(BigInteger))
    image_lifetime_seconds: int | None = Field(default=None, sa_column=Column(BigInteger))
    images_expire_at: datetime | None = Field(default=None, sa_column=moment_column())
    keeps_prompt: bool = Field(default=True, sa_column=flag_column(default=True))
    priority: int = Field(default=0, sa_column=count_column(0))
    webhook_url: str | None = Field(default=None, sa_column=text_column(nullable=True))
    webhook_events: list[str] = Field(default_factory=list, sa_column=json_column("'[]'"))
    retry_of: str | None = Field(default=None, sa_column=text_column(nullable=True))
    api_key_id: str | None = Field(default=None, sa_column=text_column(nullable=True))
    # Which providers were considered, and why each was or was not taken.
    routing: list[dict[str, Any]] = Field(default_factory=list, sa_column=json_column("'[]'"))
    # The number of its last event that is no longer in the log.
    purged_events: int = Field(default=0, sa_column=count_column(0))
    # Who stopped it, where it ended so: `client`, `deadline` or `operator`.
    canceled_by: str | None = Field(default=None, sa_column=text_column(nullable=True))
    # The batch that it was made for. No foreign key: no batch's row is ever deleted.
    batch_id: str | None = Field(default=None, sa_column=text_column(nullable=True))


class AttemptRow(SQLModel, table=True):
    """One submission to one provider, written before a byte leaves. States: domain/attempt.py."""

    __tablename__ = "attempts"
    __table_args__ = (
        CheckConstraint("ordinal >= 1", name="attempts_ordinal"),
        CheckConstraint(
            f"state IN ({', '.join(repr(state.value) for state in AttemptState)})", name="attempts_state"
        ),
        CheckConstraint(
            f"(state IN ({', '.join(repr(state.value) for state in AttemptState if state.is_final)}))"
            " = (result IS NOT NULL)",
            name="attempts_result",
        ),
        CheckConstraint("state <> 'accepted' OR provider_job_id IS NOT NULL", name="attempts_job"),
        CheckConstraint("(cost_amount IS NULL) = (cost_unit IS NULL)", name="attempts_cost"),
        Index("attempts_by_day", "started_at"),
    )

    generation_id: str = Field(
        sa_column=text_column(ForeignKey("generations.id", ondelete="RESTRICT"), primary_key=True)
    )
    ordinal: int = Field(sa_column=Column(BigInteger, primary_key=True, autoincrement=False))
    provider: str = Field(sa_column=text_column())
    endpoint: str = Field(sa_column=text_column())
    state: str = Field(sa_column=text_column())
    provider_job_id: str | None = Field(default=None, sa_column=text_column(nullable=True))
    provider_urls: dict[str, str] | None = Field(
        default=None, sa_column=Column(JSONB(none_as_null=True), nullable=True)
    )
    result: dict[str, Any] | None = Field(
        default=None, sa_column=Column(JSONB(none_as_null=True), nullable=True)
    )
    code: str | None = Field(default=None, sa_column=text_column(nullable=True))
    provider_message: str | None = Field(default=None, sa_column=text_column(nullable=True))
    started_at: datetime = Field(default=None, sa_column=moment_column(nullable=False))
    answered_at: datetime | None = Field(default=None, sa_column=moment_column())
    moderated_at: str | None = Field(default=None, sa_column=text_column(nullable=True))
    cost_amount: Decimal | None = Field(default=None, sa_column=Column(Numeric))
    cost_unit: str | None = Field(default=None, sa_column=text_column(nullable=True))
    # When a result came that the generation no longer waited for.
    late_at: datetime | None = Field(default=None, sa_column=moment_column())
    # When a poll first reported a failure that is not believed at once.
    tentative_at: datetime | None = Field(default=None, sa_column=moment_column())
    # What the provider last said of how far it is.
    progress: dict[str, Any] | None = Field(
        default=None, sa_column=Column(JSONB(none_as_null=True), nullable=True)
    )


class ImageRow(SQLModel, table=True):
    """One stored image; the object at `key` has exactly these bytes."""

    __tablename__ = "images"
    __table_args__: ClassVar[Any] = (
        CheckConstraint(
            "index >= 0 AND width > 0 AND height > 0 AND size_bytes > 0 AND length(sha256) = 64",
            name="images_facts",
        ),
        CheckConstraint("length(source_sha256) = 64", name="images_source"),
    )

    generation_id: str = Field(
        sa_column=text_column(ForeignKey("generations.id", ondelete="RESTRICT"), primary_key=True)
    )
    index: int = Field(sa_column=Column(BigInteger, primary_key=True, autoincrement=False))
    key: str = Field(sa_column=Column(Text, nullable=False, unique=True))
    width: int = Field(sa_column=count_column())
    height: int = Field(sa_column=count_column())
    content_type: str = Field(sa_column=text_column())
    size_bytes: int = Field(sa_column=count_column())
    sha256: str = Field(sa_column=text_column())
    created_at: datetime = Field(default=None, sa_column=moment_column(nullable=False))
    # Of the provider's bytes. Null in rows from before it was recorded.
    source_sha256: str | None = Field(default=None, sa_column=text_column(nullable=True))


class UnstoredImageRow(SQLModel, table=True):
    """The bytes of a paid image that the object store could not take yet. Few, and short-lived."""

    __tablename__ = "unstored_images"

    generation_id: str = Field(
        sa_column=text_column(ForeignKey("generations.id", ondelete="RESTRICT"), primary_key=True)
    )
    index: int = Field(sa_column=Column(BigInteger, primary_key=True, autoincrement=False))
    content: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    created_at: datetime = Field(default=None, sa_column=moment_column(nullable=False))


class InboxRow(SQLModel, table=True):
    """A provider's webhook, stored before its workflow is signaled."""

    __tablename__ = "inbox"
    __table_args__ = (
        UniqueConstraint("provider", "event_id"),
        Index("inbox_unrelayed", "received_at", postgresql_where=text("relayed_at IS NULL")),
        Index("inbox_by_generation", "generation_id"),
    )

    id: int | None = Field(default=None, sa_column=Column(BigInteger, Identity(), primary_key=True))
    provider: str = Field(sa_column=text_column())
    event_id: str = Field(sa_column=text_column())
    generation_id: str = Field(sa_column=text_column(ForeignKey("generations.id", ondelete="RESTRICT")))
    ordinal: int = Field(sa_column=count_column())
    provider_job_id: str = Field(sa_column=text_column())
    status: str = Field(sa_column=text_column())
    code: str | None = Field(default=None, sa_column=text_column(nullable=True))
    result: dict[str, Any] = Field(sa_column=Column(JSONB, nullable=False))
    late: bool = Field(sa_column=flag_column())
    received_at: datetime = Field(default=None, sa_column=moment_column(nullable=False))
    relayed_at: datetime | None = Field(default=None, sa_column=moment_column())
    moderated_at: str | None = Field(default=None, sa_column=text_column(nullable=True))
    does_not_charge: bool = Field(default=False, sa_column=flag_column())
