"""Credentials of operators' own systems, such as billing. They belong to no tenant."""

from datetime import datetime

from sqlalchemy import Column, Text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlmodel import Field, SQLModel

from adapters.database.tables.columns import moment_column, text_column


class OperatorKeyRow(SQLModel, table=True):
    """An operator's key. The secret is kept as SHA-256: it is 32 random bytes."""

    __tablename__ = "operator_keys"

    id: str = Field(sa_column=text_column(primary_key=True))
    secret_sha256: str = Field(sa_column=text_column())
    scopes: list[str] = Field(sa_column=Column(ARRAY(Text), nullable=False))
    name: str = Field(sa_column=text_column())
    created_at: datetime = Field(default=None, sa_column=moment_column(nullable=False))
    expires_at: datetime | None = Field(default=None, sa_column=moment_column())
    revoked_at: datetime | None = Field(default=None, sa_column=moment_column())
    last_used_at: datetime | None = Field(default=None, sa_column=moment_column())
