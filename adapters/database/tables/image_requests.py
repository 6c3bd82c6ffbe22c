"""Which jobs have a client that waits for them."""

from datetime import datetime

from sqlalchemy import CheckConstraint, Column, DateTime, ForeignKey, Index, Text, text
from sqlmodel import Field, SQLModel

from adapters.database.tables.columns import count_column, moment_column, text_column


class ImageRequestRow(SQLModel, table=True):
    """A job that was asked for without an Idempotency-Key, until its client has the answer.

    connection_id: whose answer it is now. connected_until: when that connection ends or has ended, unless it
    is renewed. Renewing changes no column of an index.
    """

    __tablename__ = "image_requests"
    __table_args__ = (
        CheckConstraint("retry_count >= 0", name="image_requests_retry_count"),
        Index("image_requests_repeated", "api_key_id", "route", "fingerprint", text("created_at DESC")),
        Index("image_requests_by_age", "created_at"),
    )

    generation_id: str = Field(
        sa_column=text_column(ForeignKey("generations.id", ondelete="RESTRICT"), primary_key=True)
    )
    connection_id: str = Field(sa_column=Column(Text, nullable=False, unique=True))
    api_key_id: str = Field(sa_column=text_column())
    route: str = Field(sa_column=text_column())
    fingerprint: str = Field(sa_column=text_column())
    retry_count: int = Field(sa_column=count_column())
    created_at: datetime = Field(default=None, sa_column=moment_column(nullable=False))
    connected_until: datetime = Field(sa_column=Column(DateTime(timezone=True), nullable=False))
