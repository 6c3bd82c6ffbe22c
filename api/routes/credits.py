"""A tenant's credits."""

from typing import Annotated

from fastapi import APIRouter, Query

from api.cursors import entry_cursor, read_entry_cursor
from api.deps import CreditReader, PartsDep
from api.schemas import BalanceView, EntryPage
from api.views import entry_view

router = APIRouter(prefix="/v1/credits", tags=["credits"])


@router.get("")
async def get_credits(caller: CreditReader, parts: PartsDep) -> BalanceView:
    """What can be spent, what is held for open generations, what has been spent."""
    balance = await parts.credits.balance(caller.tenant_id)
    return BalanceView(available=balance.available, held=balance.held, spent=balance.spent)


@router.get("/entries")
async def list_entries(
    caller: CreditReader,
    parts: PartsDep,
    cursor: Annotated[str | None, Query(max_length=200)] = None,
    limit: Annotated[int, Query(ge=1, le=100)] = 50,
) -> EntryPage:
    """Every movement on the tenant's accounts, newest first."""
    found = await parts.credits.entries(caller.tenant_id, before=read_entry_cursor(cursor), limit=limit + 1)
    page = found[:limit]
    return EntryPage(
        data=[entry_view(entry) for entry in page],
        next_cursor=entry_cursor(page[-1].id) if len(found) > limit else None,
    )
