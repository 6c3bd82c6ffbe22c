"""A tenant's credits by grant, and the balances below which it is told."""

from typing import Annotated

from fastapi import APIRouter, Depends, Query

from api.deps import CanReadCredits, ServicesDep, actor_of, with_scope
from api.http.credit_views import serialize_lot, serialize_thresholds
from api.http.pagination import LOT_CURSOR, lot_cursor, read_lot_cursor
from api.http.schemas.credits import LotPage, ThresholdList, ThresholdsUpdate
from domain.auth import Caller, Scope
from domain.tenant import RatePolicy

router = APIRouter(prefix="/v1/credits", tags=["credits"])
CanWriteCredits = Annotated[Caller, Depends(with_scope(Scope.WRITE_CREDITS, RatePolicy.CANCEL))]


@router.get("/lots")
async def list_lots(
    caller: CanReadCredits,
    services: ServicesDep,
    cursor: Annotated[str | None, Query(max_length=200, json_schema_extra=LOT_CURSOR)] = None,
    limit: Annotated[int, Query(ge=1, le=100)] = 50,
    *,
    open_only: Annotated[
        bool, Query(alias="open", description="Only lots of which something remains, is held or is owed.")
    ] = False,
) -> LotPage:
    """List the tenant's lots, newest first: what was granted at a time, and what became of each credit."""
    found = await services.credits.list_lots(
        caller.tenant_id, after=read_lot_cursor(cursor), limit=limit + 1, open_only=open_only
    )
    page = found[:limit]
    return LotPage(
        data=[serialize_lot(lot) for lot in page],
        next_cursor=lot_cursor(page[-1].id) if len(found) > limit else None,
    )


@router.get("/thresholds")
async def get_thresholds(caller: CanReadCredits, services: ServicesDep) -> ThresholdList:
    """Get the balances below which `credits.low` is told."""
    return serialize_thresholds(await services.credits.lots.list_thresholds(caller.tenant_id))


@router.put("/thresholds")
async def set_thresholds(
    body: ThresholdsUpdate, caller: CanWriteCredits, services: ServicesDep
) -> ThresholdList:
    """Replace them, at most 10. One that the balance is below already is told at once.

    Each is told once, and again only after a grant has lifted the balance to it.
    """
    lots = services.credits.lots
    await lots.set_thresholds(caller.tenant_id, body.thresholds, by=actor_of(caller))
    return serialize_thresholds(await lots.list_thresholds(caller.tenant_id))
