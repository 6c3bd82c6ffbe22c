"""How this schema writes its columns."""

from typing import Any

from sqlalchemy import BigInteger, Boolean, Column, DateTime, Text, text
from sqlalchemy.dialects.postgresql import JSONB

TERMINAL = "('completed', 'failed', 'canceled')"
# For a row that others refer to: a lock that does not wait for, nor stop, rows that do.
NO_KEY_UPDATE = {"key_share": True}
CHARGE_POLICIES = "('refund', 'charge', 'provider_cost')"


def moment_column(*, nullable: bool = True) -> Any:
    """Return a UTC timestamp column. The database's clock sets it, so hosts' clocks are never compared."""
    default = None if nullable else text("now()")
    return Column(DateTime(timezone=True), nullable=nullable, server_default=default)


def clock_column() -> Any:
    """Return a column for when a row was written, and not when its transaction began."""
    return Column(DateTime(timezone=True), nullable=False, server_default=text("clock_timestamp()"))


def text_column(*arguments: Any, nullable: bool = False, primary_key: bool = False) -> Any:
    return Column(Text, *arguments, nullable=nullable, primary_key=primary_key)


def count_column(default: int | None = None) -> Any:
    return Column(BigInteger, nullable=False, server_default=None if default is None else text(str(default)))


def flag_column(*, default: bool = False) -> Any:
    return Column(Boolean, nullable=False, server_default=text("true" if default else "false"))


def policy_column() -> Any:
    return Column(Text, nullable=False, server_default=text("'refund'"))


def json_column(default: str) -> Any:
    return Column(JSONB, nullable=False, server_default=text(default))
