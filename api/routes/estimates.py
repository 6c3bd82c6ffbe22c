"""What a generation would cost and take, and why it would be refused."""

from collections.abc import Sequence
from typing import Annotated

from fastapi import APIRouter, Depends, Request

from api.deps import CanEstimate, ServicesDep
from api.http.declarations import declares
from api.http.estimate_view import serialize_estimate
from api.http.json_body import read_generation
from api.http.schemas.estimates import EstimateView
from api.http.schemas.generations import GenerationCreate
from api.services.generations import GenerationCommand
from domain.errors import InvalidInput, ModelNotFound, TooManyAtOnce

router = APIRouter(prefix="/v1/generations", tags=["generations"])
_BODY = {
    "requestBody": {
        "required": True,
        "content": {"application/json": {"schema": GenerationCreate.model_json_schema()}},
    }
}


@declares(TooManyAtOnce)
async def _body(request: Request, caller: CanEstimate, services: ServicesDep) -> GenerationCreate:
    return await read_generation(request, caller.tenant_id, services.large_bodies)


@router.post("/estimate", openapi_extra=_BODY)
@declares(ModelNotFound)
async def estimate_generation(
    body: Annotated[GenerationCreate, Depends(_body)], caller: CanEstimate, services: ServicesDep
) -> EstimateView:
    """Tell price, duration and refusals of a create with this body. Stores, fetches and runs nothing.

    It counts as a read, and responds with 200 also for a request that would be refused.
    """
    command = GenerationCommand(
        body.model,
        body.parameters(),
        body.metadata or {},
        tuple(body.inputs or ()),
        body.mask,
        max_cost=body.max_cost,
    )
    webhook = await _webhook_errors(services, caller.tenant_id, body)
    return serialize_estimate(await services.estimates.estimate(caller, command, webhook))


async def _webhook_errors(
    services: ServicesDep, tenant_id: str, body: GenerationCreate
) -> Sequence[tuple[str, str]]:
    """Return what a create would refuse of the job's own webhook."""
    try:
        await services.webhook_endpoints.check_job_webhook(tenant_id, body.webhook_url, body.webhook_events)
    except InvalidInput as error:
        return error.errors
    return ()
