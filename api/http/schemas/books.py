"""Statements of months, and usage."""

from datetime import date, datetime
from typing import Annotated, Any

from pydantic import BaseModel, Field

from domain.statements import UsageGroup

MONTH: dict[str, Any] = {"pattern": r"^2[0-9]{3}-(0[1-9]|1[0-2])$"}
MonthText = Annotated[str, Field(json_schema_extra=MONTH)]


class StatementLine(BaseModel):
    """A month (UTC) that there is a statement of. `is_final`: nothing can be added to it any more."""

    month: MonthText
    is_final: bool


class StatementPage(BaseModel):
    """Newest first. `next_cursor` is null on the last page."""

    data: list[StatementLine]
    next_cursor: str | None


class GrantedView(BaseModel):
    """The credits of new lots."""

    paid: int
    promotional: int


class ModelChargeView(BaseModel):
    """What the jobs of one model were charged, on the day that each was settled."""

    model: str
    generations: int
    images: int
    credits: int


class TakenBackView(BaseModel):
    """What refunds and chargebacks took. `owed`: what of it was spent already, and became owed."""

    credits: int
    owed: int


class ClosingView(BaseModel):
    """What a tenant has: `credits` = `available` + `held` - `owed`. `available` counts upcoming lots too."""

    credits: int
    available: int
    held: int
    owed: int


class StatementView(BaseModel):
    """A month: `opening` + granted - charged - expired - voided - withdrawn - taken back = `closing.credits`.

    Attributes:
        starts_at: The movements from then on
        ends_at: and before then: a movement is of the month that its `created_at` is in.
        adds_up: Whether that was so when it was computed, from three records: entries, transfers, usage.
    """

    month: MonthText
    starts_at: datetime
    ends_at: datetime
    is_final: bool
    opening: int
    granted: GrantedView
    charged: int
    charges: list[ModelChargeView]
    expired: int
    voided: int
    withdrawn: int
    taken_back: TakenBackView
    closing: ClosingView
    adds_up: bool


class UsageLineView(BaseModel):
    """The jobs of one group that were charged; null for what it is not grouped by.

    key_id: null also for jobs from before keys were noted.
    """

    day: date | None
    model: str | None
    key_id: str | None
    generations: int
    images: int
    charged_credits: int


class UsagePage(BaseModel):
    """In the order of day, model and key. `next_cursor` is null on the last page.

    `from` and `to`: the days (UTC) that are counted, both included.
    """

    first_day: Annotated[date, Field(alias="from")]
    last_day: Annotated[date, Field(alias="to")]
    group_by: list[UsageGroup]
    data: list[UsageLineView]
    next_cursor: str | None
