"""What was spent, by key and by day, and whether the books were found to agree."""

from datetime import date, datetime
from typing import Any

from sqlalchemy import BigInteger, CheckConstraint, Column, Date, ForeignKey, Identity
from sqlmodel import Field, SQLModel

from adapters.database.tables.columns import count_column, json_column, moment_column, text_column


class KeySpendingRow(SQLModel, table=True):
    """What a key holds and was charged, by the month (UTC, its first day) in which the credits were held."""

    __tablename__ = "key_spending"
    __table_args__ = (
        CheckConstraint("held_credits >= 0 AND charged_credits >= 0", name="key_spending_amounts"),
    )

    api_key_id: str = Field(sa_column=text_column(primary_key=True))
    month: date = Field(sa_column=Column(Date, primary_key=True))
    held_credits: int = Field(default=0, sa_column=count_column(0))
    charged_credits: int = Field(default=0, sa_column=count_column(0))


class UsageDayRow(SQLModel, table=True):
    """What a tenant was charged in a day (UTC), by model and key: the generations that were charged.

    api_key_id: empty for jobs from before keys were noted.
    """

    __tablename__ = "usage_days"

    tenant_id: str = Field(
        sa_column=text_column(ForeignKey("tenants.id", ondelete="RESTRICT"), primary_key=True)
    )
    day: date = Field(sa_column=Column(Date, primary_key=True))
    model: str = Field(sa_column=text_column(primary_key=True))
    api_key_id: str = Field(sa_column=text_column(primary_key=True))
    generations: int = Field(sa_column=count_column())
    images: int = Field(sa_column=count_column())
    charged_credits: int = Field(sa_column=count_column())


class BookCheckRow(SQLModel, table=True):
    """One comparison of lots, accounts and entries: how many tenants it read, and what did not agree."""

    __tablename__ = "book_checks"

    id: int | None = Field(default=None, sa_column=Column(BigInteger, Identity(), primary_key=True))
    checked_at: datetime = Field(default=None, sa_column=moment_column(nullable=False))
    tenants: int = Field(sa_column=count_column())
    # How often each check found a disagreement, by its name.
    disagreements: dict[str, Any] = Field(default_factory=dict, sa_column=json_column("'{}'"))
