"""Who may be at work at which provider."""

from datetime import datetime

from sqlalchemy import (
    CheckConstraint,
    ForeignKey,
    Index,
)
from sqlmodel import Field, SQLModel

from adapters.database.tables.columns import count_column, moment_column, text_column


class ProviderPauseRow(SQLModel, table=True):
    """One provider's door: its row is locked by whoever hands out places."""

    __tablename__ = "gates"

    provider: str = Field(sa_column=text_column(primary_key=True))
    # After a 429 with Retry-After nobody is let in before this moment.
    closed_until: datetime | None = Field(default=None, sa_column=moment_column())


class ProviderSlotRow(SQLModel, table=True):
    """A generation's place at a provider, asked for and then granted; gone when its provider is done."""

    __tablename__ = "places"
    __table_args__ = (
        Index("places_by_provider", "provider", "granted_at"),
        CheckConstraint("told_at IS NULL OR granted_at IS NOT NULL", name="places_told"),
    )

    generation_id: str = Field(
        sa_column=text_column(ForeignKey("generations.id", ondelete="RESTRICT"), primary_key=True)
    )
    ordinal: int = Field(sa_column=count_column())
    provider: str = Field(sa_column=text_column())
    tenant_id: str = Field(sa_column=text_column())
    asked_at: datetime = Field(default=None, sa_column=moment_column(nullable=False))
    granted_at: datetime | None = Field(default=None, sa_column=moment_column())
    # When its workflow knew of the grant.
    told_at: datetime | None = Field(default=None, sa_column=moment_column())
