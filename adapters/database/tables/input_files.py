"""Input files."""

from datetime import datetime

from sqlalchemy import (
    CheckConstraint,
    Column,
    DateTime,
    ForeignKey,
    Index,
    Text,
    text,
)
from sqlmodel import Field, SQLModel

from adapters.database.tables.columns import count_column, flag_column, moment_column, text_column


class InputFileRow(SQLModel, table=True):
    """An image or a batch's lines, that a client brought. The object at `key` has exactly these bytes."""

    __tablename__ = "input_files"
    __table_args__ = (
        CheckConstraint(
            "(width > 0 AND height > 0 OR content_type = 'application/jsonl')"
            " AND size_bytes > 0 AND length(sha256) = 64",
            name="input_files_facts",
        ),
        CheckConstraint(
            "purpose = CASE content_type WHEN 'application/jsonl' THEN 'batch' ELSE 'image' END",
            name="input_files_purpose",
        ),
        Index("input_files_by_expiry", "expires_at"),
        Index("input_files_by_tenant", "tenant_id", "expires_at"),
    )

    id: str = Field(sa_column=text_column(primary_key=True))
    tenant_id: str = Field(sa_column=text_column(ForeignKey("tenants.id", ondelete="RESTRICT")))
    key: str = Field(sa_column=Column(Text, nullable=False, unique=True))
    width: int = Field(sa_column=count_column())
    height: int = Field(sa_column=count_column())
    content_type: str = Field(sa_column=text_column())
    size_bytes: int = Field(sa_column=count_column())
    sha256: str = Field(sa_column=text_column())
    has_alpha: bool = Field(sa_column=flag_column())
    created_at: datetime = Field(default=None, sa_column=moment_column(nullable=False))
    # Each use extends it.
    expires_at: datetime = Field(sa_column=Column(DateTime(timezone=True), nullable=False))
    purpose: str = Field(sa_column=Column(Text, nullable=False, server_default=text("'image'")))
