"""A tenant's statements, month by month, and what it was charged by day, model and key."""

from enum import StrEnum
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Query, Request, Response

from api.deps import CanReadCredits, ServicesDep
from api.http.book_views import serialize_month, serialize_statement, serialize_usage
from api.http.pagination import MONTH_CURSOR, month_cursor, read_month_cursor, usage_cursor
from api.http.schemas.books import MONTH, StatementPage, StatementView, UsagePage
from api.http.usage_query import UsageRequest, read_usage_query
from domain.statement_csv import statement_csv
from domain.statements import read_month

router = APIRouter(prefix="/v1", tags=["credits"])
CSV = "text/csv"
_CSV: dict[str, Any] = {"content": {CSV: {"schema": {"type": "string"}}}}
# What only the clock can say is in the format: one that has begun.
_PAST_MONTH: dict[str, Any] = {"format": "past-month", **MONTH}
UsageRequestDep = Annotated[UsageRequest, Depends(read_usage_query)]


class StatementFormat(StrEnum):
    """How a statement is written."""

    JSON = "json"
    CSV = "csv"


@router.get("/credits/statements")
async def list_statements(
    caller: CanReadCredits,
    services: ServicesDep,
    cursor: Annotated[str | None, Query(max_length=200, json_schema_extra=MONTH_CURSOR)] = None,
    limit: Annotated[int, Query(ge=1, le=100)] = 50,
) -> StatementPage:
    """List the months that there are statements of, newest first: from the tenant's first up to this one."""
    found = await services.credits.books.list_months(
        caller.tenant_id, before=read_month_cursor(cursor), limit=limit + 1
    )
    page = found[:limit]
    return StatementPage(
        data=[serialize_month(line) for line in page],
        next_cursor=month_cursor(page[-1].month) if len(found) > limit else None,
    )


@router.get("/credits/statements/{month}", response_model=StatementView, responses={200: _CSV})
async def get_statement(
    month: Annotated[str, Path(json_schema_extra=_PAST_MONTH, description="YYYY-MM, one that has begun.")],
    caller: CanReadCredits,
    request: Request,
    response: Response,
    services: ServicesDep,
    format_: Annotated[StatementFormat | None, Query(alias="format")] = None,
) -> StatementView | Response:
    """Get a month's books, with `format=csv` or `Accept: text/csv` as CSV. The current month is not final.

    A month from before the tenant was there is empty; one that has not begun is refused.
    """
    statement = await services.credits.read_statement(caller.tenant_id, read_month(month))
    response.headers["Vary"] = "Accept"
    if not _wants_csv(request, format_):
        return serialize_statement(statement)
    headers = {"Content-Disposition": f'attachment; filename="statement-{month}.csv"', "Vary": "Accept"}
    return Response(statement_csv(statement), media_type=f"{CSV}; charset=utf-8", headers=headers)


@router.get("/usage")
async def list_usage(
    caller: CanReadCredits,
    services: ServicesDep,
    wanted: UsageRequestDep,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
) -> UsagePage:
    """Get what was charged: jobs, images and credits, by the day (UTC) on which each job was settled.

    At most 366 days. With `group_by`, a line for each group that was charged anything.
    """
    found = await services.credits.books.list_usage(
        caller.tenant_id, wanted.wanted, after=wanted.after, limit=limit + 1
    )
    page, query = found[:limit], wanted.wanted
    return UsagePage(
        **{"from": query.first_day, "to": query.last_day},
        group_by=list(query.groups),
        data=[serialize_usage(line) for line in page],
        next_cursor=usage_cursor(query, page[-1]) if len(found) > limit else None,
    )


def _wants_csv(request: Request, wanted: StatementFormat | None) -> bool:
    if wanted is not None:
        return wanted is StatementFormat.CSV
    accepted = request.headers.get("accept", "").lower()
    return CSV in accepted and "application/json" not in accepted
