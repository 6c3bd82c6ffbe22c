"""The log of what happened: generations, their attempts, the credits of their tenants, deliveries."""

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, CheckConstraint, Column, Identity, Index, UniqueConstraint, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field, SQLModel

from adapters.database.tables.columns import clock_column, text_column


class EventRow(SQLModel, table=True):
    """One event, never changed, and deleted after its time (functions/events.sql).

    Ids are given out in another order than transactions commit in, so what reads the log in order reads it by
    `transaction_id`, and only what is older than every transaction that is still open.
    """

    __tablename__ = "events"
    __table_args__ = (
        # A generation's events are written under the lock of its row: this would show it if one was not.
        UniqueConstraint("generation_id", "number"),
        CheckConstraint("(generation_id IS NULL) = (number IS NULL)", name="events_number"),
        Index("events_by_tenant", "tenant_id", "transaction_id", "id"),
    )

    transaction_id: int = Field(
        default=None,
        sa_column=Column(
            BigInteger,
            primary_key=True,
            autoincrement=False,
            server_default=text("((pg_current_xact_id())::text)::bigint"),
        ),
    )
    id: int | None = Field(
        default=None, sa_column=Column(BigInteger, Identity(always=True), primary_key=True)
    )
    tenant_id: str = Field(sa_column=text_column())
    generation_id: str | None = Field(default=None, sa_column=text_column(nullable=True))
    number: int | None = Field(default=None, sa_column=Column(BigInteger))
    type: str = Field(sa_column=text_column())
    data: dict[str, Any] = Field(sa_column=Column(JSONB, nullable=False))
    created_at: datetime = Field(default=None, sa_column=clock_column())
