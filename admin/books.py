"""Commands that read a tenant's books: statements of months, and usage."""

import argparse
from datetime import UTC, date, datetime
from typing import Any

from admin.command_line import Commands, plain_line
from composition import ServiceSettings
from composition.repositories import Database, books
from domain.errors import InvalidInput
from domain.statement_csv import statement_csv
from domain.statements import Statement, UsageGroup, UsageQuery, month_of, read_month

_MAX_LINES = 1000


async def _statement(wanted: argparse.Namespace, _: ServiceSettings, pool: Database) -> dict[str, Any] | str:
    statement = await books(pool).read_statement(wanted.tenant_id, read_month(wanted.month))
    return statement_csv(statement) if wanted.csv else _shown(statement)


async def _usage(wanted: argparse.Namespace, _: ServiceSettings, pool: Database) -> dict[str, Any]:
    last = _day("--to", wanted.to) or datetime.now(UTC).date()
    first = _day("--from", wanted.first) or month_of(last)
    query = UsageQuery(first, last, _groups(wanted.group_by))
    query.require_bounds()
    found = await books(pool).list_usage(wanted.tenant_id, query, after=None, limit=_MAX_LINES + 1)
    return {
        "from": query.first_day.isoformat(),
        "to": query.last_day.isoformat(),
        "usage": [plain_line(line) for line in found[:_MAX_LINES]],
        "is_complete": len(found) <= _MAX_LINES,
    }


def _shown(statement: Statement) -> dict[str, Any]:
    return {
        **plain_line(statement),
        "month": statement.month.strftime("%Y-%m"),
        "charged": statement.charged,
        "closing": statement.closing,
        "adds_up": statement.adds_up,
    }


def _day(name: str, written: str | None) -> date | None:
    if written is None:
        return None
    try:
        return date.fromisoformat(written)
    except ValueError:
        raise InvalidInput(errors=((name, "a day as YYYY-MM-DD"),)) from None


def _groups(written: str) -> tuple[UsageGroup, ...]:
    named = set(written.split(",")) - {""}
    if unknown := named - {*UsageGroup}:
        raise InvalidInput(errors=(("--group-by", f"{min(unknown)} is none of {', '.join(UsageGroup)}"),))
    return tuple(group for group in UsageGroup if group in named)


def add_to(commands: Commands) -> None:
    """Declare the commands."""
    statement = commands.add("statement", _statement, "a month of a tenant's books, and whether it adds up")
    statement.add_argument("tenant_id")
    statement.add_argument("month", metavar="YYYY-MM")
    statement.add_argument("--csv", action="store_true", help="as the tenant gets it, and not as JSON")
    usage = commands.add("usage", _usage, "what a tenant was charged, at most 1000 lines")
    usage.add_argument("tenant_id")
    usage.add_argument("--from", dest="first", metavar="YYYY-MM-DD", help="(default: the first of the month)")
    usage.add_argument("--to", metavar="YYYY-MM-DD", help="included (default: today, UTC)")
    usage.add_argument(
        "--group-by",
        default=",".join(UsageGroup),
        metavar="A,B",
        help=f"some of {', '.join(UsageGroup)} (default: all)",
    )
