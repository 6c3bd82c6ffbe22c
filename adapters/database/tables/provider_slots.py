"""How many jobs may be at which provider."""

from datetime import datetime

from sqlalchemy import (
    CheckConstraint,
    ForeignKey,
    Index,
)
from sqlmodel import Field, SQLModel

from adapters.database.tables.columns import count_column, moment_column, text_column


class ProviderPauseRow(SQLModel, table=True):
    """A provider: its row is locked while slots are granted, and says until when none is."""

    __tablename__ = "provider_pauses"

    provider: str = Field(sa_column=text_column(primary_key=True))
    # After a 429 no slot is granted before this moment.
    paused_until: datetime | None = Field(default=None, sa_column=moment_column())


class ProviderSlotRow(SQLModel, table=True):
    """A generation's slot at a provider, requested and then granted; gone when the provider is done."""

    __tablename__ = "provider_slots"
    __table_args__ = (
        Index("provider_slots_by_provider", "provider", "granted_at"),
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
