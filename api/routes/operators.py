"""What operators' systems, such as billing, do with tenants' credits. Only an operator's key leads here."""

from typing import Annotated

from fastapi import APIRouter, Path, Query, Response, status

from api.deps import ServicesDep
from api.http.declarations import declares
from api.http.operator_views import (
    serialize_credits,
    serialize_grant,
    serialize_payment,
    serialize_take_back,
)
from api.http.pagination import LOT_CURSOR, read_lot_cursor
from api.http.schemas.operators import (
    REFERENCE_PATTERN,
    GrantCreate,
    GrantView,
    PaymentView,
    TakeBackCreate,
    TakeBackView,
    TenantCreditsView,
)
from api.operator_deps import CanReadGrants, CanWriteGrants
from domain.errors import LotNotFound, ReferenceReused, TakeBackTooLarge, TenantNotFound
from domain.lots import MAX_REFERENCE_CHARACTERS, Grant, TakeBackState

router = APIRouter(prefix="/v1/admin", tags=["operators"])

_REPEATED = "The same was sent before: this is what came of it, as it is now."
_PENDING = "Stored until the payment is granted, and taken back then."


@router.post(
    "/grants",
    status_code=status.HTTP_201_CREATED,
    responses={200: {"model": GrantView, "description": _REPEATED}},
)
@declares(TenantNotFound, ReferenceReused)
async def create_grant(
    body: GrantCreate, operator: CanWriteGrants, services: ServicesDep, response: Response
) -> GrantView:
    """Grant credits for a payment, once per `reference` in all of the service.

    Call it after the payment has succeeded. What the tenant owes is paid first.
    """
    grant = Grant(
        tenant_id=body.tenant_id,
        amount_credits=body.amount,
        reference=body.reference,
        category=body.category,
        priority=body.priority,
        effective_at=body.effective_at,
        expires_at=body.expires_at,
        is_payment=True,
    )
    granted = await services.operators.billing.grant_payment(operator, grant)
    if not granted.is_new:
        response.status_code = status.HTTP_200_OK
    return serialize_grant(granted.lot)


@router.get("/grants/{reference:path}")
@declares(LotNotFound)
async def get_grant(
    reference: Annotated[str, Path(max_length=MAX_REFERENCE_CHARACTERS, pattern=REFERENCE_PATTERN)],
    _: CanReadGrants,
    services: ServicesDep,
) -> PaymentView:
    """Get what became of a payment: its grant, and every refund of it."""
    return serialize_payment(await services.operators.billing.read_payment(reference))


@router.post(
    "/take-backs",
    status_code=status.HTTP_201_CREATED,
    responses={
        200: {"model": TakeBackView, "description": _REPEATED},
        202: {"model": TakeBackView, "description": _PENDING},
    },
)
@declares(TenantNotFound, ReferenceReused, TakeBackTooLarge)
async def create_take_back(
    body: TakeBackCreate, operator: CanWriteGrants, services: ServicesDep, response: Response
) -> TakeBackView:
    """Take back what was refunded or charged back, once per `reference` of the payment.

    What is left of the payment's lot goes first; the rest is owed, and paid by the next grants.
    """
    take_back = await services.operators.billing.take_back_payment(
        operator, body.tenant_id, body.payment_reference, body.reference, body.amount
    )
    if not take_back.is_new:
        response.status_code = status.HTTP_200_OK
    elif take_back.state is TakeBackState.PENDING:
        response.status_code = status.HTTP_202_ACCEPTED
    return serialize_take_back(take_back)


@router.get("/tenants/{tenant_id}/credits")
@declares(TenantNotFound)
async def get_tenant_credits(
    tenant_id: Annotated[str, Path(max_length=64, pattern=r"^[A-Za-z0-9_-]+$")],
    _: CanReadGrants,
    services: ServicesDep,
    open_only: bool = True,
    cursor: Annotated[str | None, Query(max_length=200, json_schema_extra=LOT_CURSOR)] = None,
    limit: Annotated[int, Query(ge=1, le=100)] = 20,
) -> TenantCreditsView:
    """Get a tenant's balance and its lots, newest first; with `open_only=false` also those that are empty."""
    credits = await services.operators.billing.read_credits(
        tenant_id, after=read_lot_cursor(cursor), limit=limit, open_only=open_only
    )
    return serialize_credits(tenant_id, credits)
