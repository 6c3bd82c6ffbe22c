"""A tenant's books of a month, as sums that prove themselves, and what was charged by day, model and key.

A transfer is of the month (UTC) of its `created_at`, and of no other.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum

from domain.errors import InvalidInput

# Nothing was written before, and at the end of time there is no next month.
FIRST_MONTH, LAST_MONTH = date(2000, 1, 1), date(2999, 12, 1)
MAX_USAGE_DAYS = 366
_MONTH = re.compile(r"(\d{4})-(0[1-9]|1[0-2])", re.ASCII)


def read_month(written: str, field: str = "month") -> date:
    """Return the first day of a month. Raises InvalidInput."""
    found = _MONTH.fullmatch(written)
    month = date(int(found[1]), int(found[2]), 1) if found and found[1] != "0000" else None
    if month is None or not FIRST_MONTH <= month <= LAST_MONTH:
        raise InvalidInput(errors=((field, "a month as YYYY-MM, such as 2026-10"),))
    return month


def month_of(day: date) -> date:
    return date(day.year, day.month, 1)


def next_month(month: date) -> date:
    return date(month.year + month.month // 12, month.month % 12 + 1, 1)


def start_of(day: date) -> datetime:
    """Return when a day begins, in UTC."""
    return datetime(day.year, day.month, day.day, tzinfo=UTC)


def months_back(newest: date, oldest: date) -> Iterator[date]:
    """Yield months from the newest to the oldest, both included."""
    month = newest
    while month >= oldest:
        yield month
        month = date(month.year - (month.month == 1), (month.month - 2) % 12 + 1, 1)


@dataclass(frozen=True)
class MonthLine:
    """A month that a tenant has a statement of. is_final: Whether nothing can be added to it any more."""

    month: date
    is_final: bool


@dataclass(frozen=True)
class Parts:
    """Where a tenant's credits are. available: with those that may not be spent yet."""

    available: int
    held: int
    owed: int

    @property
    def balance(self) -> int:
        """Return what the tenant has, less what it owes."""
        return self.available + self.held - self.owed


@dataclass(frozen=True)
class ModelCharge:
    """What was charged for one model."""

    model: str
    generations: int
    images: int
    charged_credits: int


@dataclass(frozen=True)
class Statement:
    """What a tenant had before a month and after it, and each kind of movement between.

    Opening, closing and `spent` are read from the entries of accounts, the movements from transfers, the
    charges from what is counted by day: three records that are written by the same transactions, so that a
    mistake in one shows.

    Attributes:
        taken_back_owed: What of `taken_back` was not there any more, and became owed.
        spent: By how much the entries say that the account of spent credits grew.
    """

    month: date
    is_final: bool
    opening: int
    granted_paid: int
    granted_promotional: int
    charges: tuple[ModelCharge, ...]
    expired: int
    voided: int
    withdrawn: int
    taken_back: int
    taken_back_owed: int
    parts: Parts
    spent: int

    @property
    def charged(self) -> int:
        return sum(charge.charged_credits for charge in self.charges)

    @property
    def closing(self) -> int:
        return self.parts.balance

    @property
    def adds_up(self) -> bool:
        """Return whether all records agree."""
        granted = self.granted_paid + self.granted_promotional
        gone = self.charged + self.expired + self.voided + self.withdrawn + self.taken_back
        return self.opening + granted - gone == self.closing and self.charged == self.spent


class UsageGroup(StrEnum):
    """By what usage can be grouped, in the order of its columns."""

    DAY = "day"
    MODEL = "model"
    KEY = "key"


@dataclass(frozen=True)
class UsageQuery:
    """Which usage is asked for. first_day, last_day: both included."""

    first_day: date
    last_day: date
    groups: tuple[UsageGroup, ...] = ()

    def require_bounds(self) -> None:
        """Raises InvalidInput for days that are too many, or in the wrong order."""
        if self.first_day > self.last_day:
            raise InvalidInput(errors=(("from", "not after `to`"),))
        if self.last_day - self.first_day >= timedelta(days=MAX_USAGE_DAYS):
            raise InvalidInput(errors=(("to", f"at most {MAX_USAGE_DAYS} days with `from`"),))


@dataclass(frozen=True)
class UsageLine:
    """What was charged in one group; None for what it is not grouped by.

    key_id: empty where none was noted.
    """

    day: date | None
    model: str | None
    key_id: str | None
    generations: int
    images: int
    charged_credits: int
