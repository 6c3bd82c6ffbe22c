"""Create a generation, get it, cancel it, delete it."""

from fastapi import APIRouter, Response, status

from api.deps import (
    CanCancelGenerations,
    CanCreateGenerations,
    CanReadGenerations,
    GenerationBody,
    GenerationId,
    IdempotencyKey,
    ServicesDep,
    actor_of,
)
from api.http.schemas.generations import GenerationCreate, GenerationView
from api.http.serializers import serialize_position
from api.services.generations import GenerationCommand
from domain.generation import Stage

router = APIRouter(prefix="/v1/generations", tags=["generations"])
_RETRY_AFTER_SECONDS = "2"
_BODY = {
    "requestBody": {
        "required": True,
        "content": {"application/json": {"schema": GenerationCreate.model_json_schema()}},
    }
}


@router.post("", status_code=status.HTTP_202_ACCEPTED, openapi_extra=_BODY)
async def create_generation(
    body: GenerationBody,
    key: IdempotencyKey,
    caller: CanCreateGenerations,
    services: ServicesDep,
    response: Response,
) -> GenerationView:
    """Accept a generation. Repeating the call with the same Idempotency-Key returns the same one."""
    command = GenerationCommand(
        body.model, body.parameters(), body.metadata or {}, tuple(body.inputs or ()), body.mask
    )
    generation, is_new = await services.generation_service.accept(caller, command, key)
    response.headers["Location"] = services.serializer.generation_url(generation.id)
    response.headers["Retry-After"] = _RETRY_AFTER_SECONDS
    if not is_new:
        response.headers["Idempotency-Replayed"] = "true"
    return services.serializer.serialize_for(caller, generation)


@router.get("/{generation_id}")
async def get_generation(
    generation_id: GenerationId,
    caller: CanReadGenerations,
    services: ServicesDep,
    response: Response,
    *,
    live: bool = False,
) -> GenerationView:
    """Get a generation from its row. `live=true` also queries its workflow, if that is quick."""
    generation = await services.generations.get_generation_of(caller.tenant_id, generation_id)
    view = services.serializer.serialize(generation)
    if generation.stage is Stage.THROTTLED:
        position = await services.slots.queue_position(generation_id)
        if position is not None:
            view.queue = serialize_position(position)
    if not generation.status.is_terminal:
        response.headers["Retry-After"] = _RETRY_AFTER_SECONDS
        if live:
            progress = await services.workflow_status.query(caller.tenant_id, generation_id)
            view.live = dict(progress) if progress is not None else None
    return view


@router.delete("/{generation_id}", status_code=status.HTTP_204_NO_CONTENT)
async def delete_generation(
    generation_id: GenerationId, caller: CanCancelGenerations, services: ServicesDep
) -> None:
    """Erase an ended generation: prompt, inputs, images. What it cost stays. 409 `not_terminal` before."""
    await services.erasure.delete_generation(caller.tenant_id, generation_id, by=actor_of(caller))


@router.post("/{generation_id}/cancel", status_code=status.HTTP_202_ACCEPTED)
async def cancel_generation(
    generation_id: GenerationId, caller: CanCancelGenerations, services: ServicesDep
) -> GenerationView:
    """Stop and refund. 409 `too_late_to_cancel` once the images are being stored."""
    return services.serializer.serialize_for(
        caller, await services.generation_service.cancel(caller.tenant_id, generation_id)
    )
