"""The query of `GET /v1/usage`: which days, and by what they are grouped. docs/credits.md tells clients."""

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Annotated, Any

from fastapi import Query, Request

from api.http.pagination import UsagePosition, read_usage_cursor
from api.http.schemas.fields import Text
from domain.errors import InvalidInput
from domain.statements import FIRST_MONTH, UsageGroup, UsageLine, UsageQuery, month_of

USAGE_CURSOR: dict[str, Any] = {"format": "usage-cursor"}
_NAMES = frozenset({"from", "to", "group_by", "cursor", "limit"})
_GROUP = "|".join(UsageGroup)
_GROUPS = rf"^({_GROUP})(,({_GROUP})){{0,{len(UsageGroup) - 1}}}$"
_GROUPS_READ = re.compile(_GROUPS)
_DAY = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
_EXAMPLE = "2026-10-31"
_MAX_CURSOR_CHARACTERS = 1000


@dataclass(frozen=True)
class UsageRequest:
    """Which usage a client reads, and after which line it goes on."""

    wanted: UsageQuery
    after: UsageLine | None


def _day_query(name: str, description: str) -> Any:
    return Query(
        alias=name,
        description=f"{description}: a day (UTC), such as `{_EXAMPLE}`.",
        max_length=10,
        json_schema_extra={"format": "date"},
    )


async def read_usage_query(
    request: Request,
    first: Annotated[Text | None, _day_query("from", "The first day; without it, that of the month")] = None,
    last: Annotated[Text | None, _day_query("to", "The last day, included; without it, today")] = None,
    group_by: Annotated[
        str | None,
        Query(
            description=f"Some of `{', '.join(UsageGroup)}`, with commas; without it, one sum.",
            max_length=50,
            json_schema_extra={"pattern": _GROUPS},
        ),
    ] = None,
    cursor: Annotated[
        str | None, Query(max_length=_MAX_CURSOR_CHARACTERS, json_schema_extra=USAGE_CURSOR)
    ] = None,
) -> UsageRequest:
    """Raises InvalidInput, also for a parameter that there is not, as other days would be the answer."""
    if unknown := sorted({*request.query_params} - _NAMES):
        shown = unknown[0].encode("ascii", "backslashreplace").decode()[:100]
        raise InvalidInput(errors=((shown, f"not a parameter of usage: {', '.join(sorted(_NAMES))}"),))
    given = (_read_day("from", first), _read_day("to", last), _read_groups(group_by))
    position = read_usage_cursor(cursor)
    if position is None:
        return UsageRequest(_wanted(*given), None)
    _require_same(given, position)
    return UsageRequest(position.wanted, position.after)


def _wanted(first: date | None, last: date | None, groups: tuple[UsageGroup, ...] | None) -> UsageQuery:
    # Which days are asked for; the database's clock says on which one something was charged.
    last = last or max(datetime.now(UTC).date(), first or FIRST_MONTH)
    wanted = UsageQuery(first or month_of(last), last, groups or ())
    wanted.require_bounds()
    return wanted


def _require_same(
    given: tuple[date | None, date | None, tuple[UsageGroup, ...] | None], position: UsagePosition
) -> None:
    """Raises InvalidInput if what is given beside a cursor is not what its list was asked with."""
    of_cursor = (position.wanted.first_day, position.wanted.last_day, position.wanted.groups)
    if any(each is not None and each != own for each, own in zip(given, of_cursor, strict=True)):
        raise InvalidInput(errors=(("cursor", "belongs to other days or groups"),))


def _read_day(name: str, written: str | None) -> date | None:
    if written is None:
        return None
    try:
        day = date.fromisoformat(written) if _DAY.fullmatch(written) else None
    except ValueError:
        day = None
    if day is None or day < FIRST_MONTH:
        raise InvalidInput(errors=((name, f"a day from {FIRST_MONTH} on, such as {_EXAMPLE}"),))
    return day


def _read_groups(written: str | None) -> tuple[UsageGroup, ...] | None:
    """Return the groups in the order of their columns."""
    if written is None:
        return None
    if _GROUPS_READ.fullmatch(written) is None:
        shown = ", ".join(UsageGroup)
        raise InvalidInput(
            errors=(("group_by", f"one to {len(UsageGroup)} of {shown}, with commas between them"),)
        )
    named = written.split(",")
    return tuple(group for group in UsageGroup if group in named)
