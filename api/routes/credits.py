"""A tenant's credits."""

from typing import Annotated

from fastapi import APIRouter, Query

from api.deps import CanReadCredits, ServicesDep, ShowsBudget
from api.http.credit_views import serialize_balance, serialize_entry
from api.http.pagination import ENTRY_CURSOR, entry_cursor, read_entry_cursor
from api.http.schemas.credits import BalanceView, EntryPage

router = APIRouter(prefix="/v1/credits", tags=["credits"])


@router.get("")
async def get_credits(caller: CanReadCredits, services: ServicesDep, _: ShowsBudget) -> BalanceView:
    """Get what can be spent now, what is held for open jobs, what is owed, and what is lost next."""
    return serialize_balance(await services.credits.accounts.balance(caller.tenant_id))


@router.get("/entries")
async def list_entries(
    caller: CanReadCredits,
    services: ServicesDep,
    cursor: Annotated[str | None, Query(max_length=200, json_schema_extra=ENTRY_CURSOR)] = None,
    limit: Annotated[int, Query(ge=1, le=100)] = 50,
) -> EntryPage:
    """List every movement on the tenant's accounts, newest first."""
    found = await services.credits.accounts.list_entries(
        caller.tenant_id, before=read_entry_cursor(cursor), limit=limit + 1
    )
    page = found[:limit]
    return EntryPage(
        data=[serialize_entry(entry) for entry in page],
        next_cursor=entry_cursor(page[-1].id) if len(found) > limit else None,
    )
