"""How many jobs may be at which provider, and which provider is closed."""

from datetime import datetime

from sqlalchemy import ARRAY, BigInteger, CheckConstraint, Column, ForeignKey, Index, Text, text
from sqlmodel import Field, SQLModel

from adapters.database.tables.columns import count_column, flag_column, moment_column, text_column

_WAITING = "granted_at IS NULL AND not_before IS NULL"


class ProviderPauseRow(SQLModel, table=True):
    """A provider. Processes of the version before lock its row while they grant slots; no others read it."""

    __tablename__ = "provider_pauses"

    provider: str = Field(sa_column=text_column(primary_key=True))
    paused_until: datetime | None = Field(default=None, sa_column=moment_column())


class ProviderCapacityRow(SQLModel, table=True):
    """One job that a provider may have at a time; free without a generation."""

    __tablename__ = "provider_capacity"
    __table_args__ = (
        Index("provider_capacity_free", "provider", "number", postgresql_where=text("generation_id IS NULL")),
    )

    provider: str = Field(sa_column=text_column(primary_key=True))
    number: int = Field(sa_column=Column(BigInteger, primary_key=True, autoincrement=False))
    # Whose slot it is. The row of the slot goes when the provider is done, and frees this one.
    generation_id: str | None = Field(
        default=None,
        sa_column=Column(
            Text, ForeignKey("provider_slots.generation_id", ondelete="SET NULL"), nullable=True, unique=True
        ),
    )


class ProviderClosureRow(SQLModel, table=True):
    """Evidence that a provider takes no jobs now, of one of its models or of the account (`endpoint` '')."""

    __tablename__ = "provider_closures"

    provider: str = Field(sa_column=text_column(primary_key=True))
    endpoint: str = Field(sa_column=text_column(primary_key=True))
    # Different generations that were pushed back since one was last taken.
    pushed_back: list[str] = Field(
        default_factory=list, sa_column=Column(ARRAY(Text), nullable=False, server_default=text("'{}'"))
    )
    code: str = Field(sa_column=text_column())
    # Closed if set: to everybody before this moment, then to all but the probe.
    closed_until: datetime | None = Field(default=None, sa_column=moment_column())
    # The generation that finds out whether jobs are taken again.
    probe: str | None = Field(default=None, sa_column=text_column(nullable=True))
    probe_at: datetime | None = Field(default=None, sa_column=moment_column())


class ProviderSlotRow(SQLModel, table=True):
    """A generation's slot at a provider, requested and then granted; gone when the provider is done."""

    __tablename__ = "provider_slots"
    __table_args__ = (
        Index(
            "provider_slots_granted", "provider", "tenant_id", postgresql_where=text("granted_at IS NOT NULL")
        ),
        Index(
            "provider_slots_not_notified",
            "provider",
            postgresql_where=text("granted_at IS NOT NULL AND notified_at IS NULL"),
        ),
        # By its first columns the waiting tenants are found without reading the whole queue.
        Index(
            "provider_slots_waiting",
            "provider",
            "endpoint",
            "tenant_id",
            "rank",
            "requested_at",
            "generation_id",
            postgresql_where=text(_WAITING),
        ),
        CheckConstraint("notified_at IS NULL OR granted_at IS NOT NULL", name="provider_slots_notified"),
    )

    generation_id: str = Field(
        sa_column=text_column(ForeignKey("generations.id", ondelete="RESTRICT"), primary_key=True)
    )
    ordinal: int = Field(sa_column=count_column())
    provider: str = Field(sa_column=text_column())
    tenant_id: str = Field(sa_column=text_column())
    requested_at: datetime = Field(default=None, sa_column=moment_column(nullable=False))
    granted_at: datetime | None = Field(default=None, sa_column=moment_column())
    # When its workflow was signaled of the grant.
    notified_at: datetime | None = Field(default=None, sa_column=moment_column())
    endpoint: str = Field(default="", sa_column=Column(Text, nullable=False, server_default=text("''")))
    has_fallback: bool = Field(default=False, sa_column=flag_column())
    # How often the provider pushed the attempt back, why it did last, and until when the attempt waits.
    pushbacks: int = Field(default=0, sa_column=count_column(0))
    pushback_code: str | None = Field(default=None, sa_column=text_column(nullable=True))
    not_before: datetime | None = Field(default=None, sa_column=moment_column())
    # Among those of its tenant that wait: the lowest comes first. The priority's negative.
    rank: int = Field(default=0, sa_column=count_column(0))
