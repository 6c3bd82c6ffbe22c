"""What an API key has spent and holds, and what its caps leave. The database's clock says which month."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date

from domain.auth import Caller
from domain.errors import KeyBudgetExceeded, ServiceError, TooManyHeldCredits


@dataclass(frozen=True)
class KeySpending:
    """What a key was charged and holds.

    Attributes:
        month: Its first day (UTC).
        charged_credits, held_credits: Of the holds that were made in this month.
        all_held_credits: Of all holds, whenever they were made.
    """

    month: date
    charged_credits: int
    held_credits: int
    all_held_credits: int


@dataclass(frozen=True)
class KeyUsage:
    """A key's spending, and what is on its way.

    Attributes:
        accepted_credits: The prices of open generations that hold nothing yet.
        month_left_seconds: Until the next month begins.
    """

    spending: KeySpending
    accepted_credits: int
    month_left_seconds: float

    @property
    def month_credits(self) -> int:
        """Return what counts against the budget of the month."""
        return self.spending.charged_credits + self.spending.held_credits + self.accepted_credits

    @property
    def committed_credits(self) -> int:
        """Return what its open generations hold, or will."""
        return self.spending.all_held_credits + self.accepted_credits


@dataclass(frozen=True)
class KeyBudget:
    """What is left of a key's caps; None where it has no such cap."""

    limit_credits: int | None
    remaining_credits: int | None
    reset_seconds: int
    max_held_credits: int | None
    committed_credits: int


def budget_of(caller: Caller, usage: KeyUsage, admitted_credits: int, age_seconds: float) -> KeyBudget:
    """Return what is left. admitted_credits: since the usage was read, which is so long ago."""
    limit, remaining = caller.monthly_budget_credits, None
    if limit is not None:
        remaining = max(0, limit - usage.month_credits - admitted_credits)
    return KeyBudget(
        limit,
        remaining,
        max(1, math.ceil(usage.month_left_seconds - age_seconds)),
        caller.max_held_credits,
        usage.committed_credits + admitted_credits,
    )


def refusals_of(caller: Caller, budget: KeyBudget, price_credits: int) -> Iterator[ServiceError]:
    """Yield why the caps of a key refuse one more generation of this price; nothing if it is free."""
    if price_credits == 0:
        return
    remaining, most = budget.remaining_credits, budget.max_held_credits
    if remaining is not None and price_credits > remaining:
        yield KeyBudgetExceeded(
            f"the price is {price_credits} credits, and {remaining} are left of this API key's budget of"
            f" {budget.limit_credits} a month"
        )
    if most is not None and budget.committed_credits + price_credits > most:
        yield TooManyHeldCredits(
            f"the price is {price_credits} credits, and of the {most} that this API key may have held,"
            f" its open generations take {budget.committed_credits}"
        )
