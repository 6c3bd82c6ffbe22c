"""Create a generation, get it, list them, cancel one."""

from typing import Annotated

from fastapi import APIRouter, Query, Response, status

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
from api.http.pagination import generation_cursor, read_generation_cursor
from api.http.schemas.generations import GenerationCreate, GenerationPage, GenerationView
from api.http.serializers import serialize_position
from api.services.generations import GenerationCommand
from domain.controls import Controls
from domain.generation import Stage, Status

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
    await services.webhook_endpoints.check_job_webhook(
        caller.tenant_id, body.webhook_url, body.webhook_events
    )
    controls = Controls(webhook_url=body.webhook_url, webhook_events=tuple(body.webhook_events or ()))
    command = GenerationCommand(
        body.model, body.parameters(), body.metadata or {}, tuple(body.inputs or ()), body.mask, controls
    )
    generation, is_new = await services.generation_service.accept(caller, command, key)
    response.headers["Location"] = services.serializer.generation_url(generation.id)
    response.headers["Retry-After"] = _RETRY_AFTER_SECONDS
    if not is_new:
        response.headers["Idempotency-Replayed"] = "true"
    return services.serializer.serialize_for(caller, generation)


@router.get("")
async def list_generations(
    caller: CanReadGenerations,
    services: ServicesDep,
    status_is: Annotated[Status | None, Query(alias="status")] = None,
    cursor: Annotated[str | None, Query(max_length=200)] = None,
    limit: Annotated[int, Query(ge=1, le=100)] = 20,
) -> GenerationPage:
    """List generations, newest first."""
    after = read_generation_cursor(cursor)
    found = await services.generations.list_generations(
        caller.tenant_id, status=status_is, after=after, limit=limit + 1
    )
    page = found[:limit]
    return GenerationPage(
        data=[services.serializer.serialize(generation) for generation in page],
        next_cursor=generation_cursor(page[-1]) if len(found) > limit else None,
    )


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
