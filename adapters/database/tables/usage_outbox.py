"""Charges that a billing system has not taken yet, and who sends them."""

from datetime import datetime

from sqlalchemy import BigInteger, Column, ForeignKey, Identity, UniqueConstraint
from sqlmodel import Field, SQLModel

from adapters.database.tables.columns import count_column, moment_column, text_column


class UsageOutboxRow(SQLModel, table=True):
    """A charge that is to be sent, deleted once it was taken. All that is sent of it is read when it is.

    Filled from the log of events, whose order is safe, and not by whoever charges: settling stays as it is.
    And not read from the log when it is sent: events are deleted by their age, however long the receiver is
    away.
    """

    __tablename__ = "usage_outbox"
    __table_args__ = (UniqueConstraint("transfer_id"),)

    id: int | None = Field(default=None, sa_column=Column(BigInteger, Identity(), primary_key=True))
    transfer_id: str = Field(sa_column=text_column(ForeignKey("transfers.id", ondelete="RESTRICT")))


class UsageSenderRow(SQLModel, table=True):
    """Who sends the outbox. One row.

    Attributes:
        holder: The process that may send until `leased_until`.
        failures: How often in a row the receiver did not take what was sent.
        next_attempt_at: Before this nothing is sent.
    """

    __tablename__ = "usage_senders"

    name: str = Field(sa_column=text_column(primary_key=True))
    holder: str | None = Field(default=None, sa_column=text_column(nullable=True))
    leased_until: datetime | None = Field(default=None, sa_column=moment_column())
    failures: int = Field(default=0, sa_column=count_column(0))
    problem: str | None = Field(default=None, sa_column=text_column(nullable=True))
    next_attempt_at: datetime | None = Field(default=None, sa_column=moment_column())
    last_sent_at: datetime | None = Field(default=None, sa_column=moment_column())
