"""Create a generation, get it, cancel it, delete it."""

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response, status

from api.deps import (
    CanCancelGenerations,
    CanCreateGenerations,
    GenerationBody,
    GenerationId,
    IdempotencyKey,
    ServicesDep,
    actor_of,
    key_of,
)
from api.http.accepted import CREATE_ERRORS, RETRY_AFTER_SECONDS, wait_and_describe
from api.http.client import client_of
from api.http.declarations import declares
from api.http.durations import DeadlineHeaders
from api.http.entity_tags import IfNoneMatch, respond_unless_known
from api.http.preferences import MAX_WAIT_SECONDS, PreferredWait
from api.http.progress_view import serialize_progress
from api.http.response_headers import ENTITY_TAG, LOCATION, PREFERENCE_APPLIED, REPLAYED, RETRY_AFTER_IF_ANY
from api.http.schemas.generations import GenerationCreate, GenerationView
from api.http.serializers import serialize_position
from api.http.watching import WatchedGeneration
from api.services.generations import GenerationCommand
from domain.errors import NotTerminal, TooLateToCancel
from domain.generation import Stage

router = APIRouter(prefix="/v1/generations", tags=["generations"])
_BODY = {
    "requestBody": {
        "required": True,
        "content": {"application/json": {"schema": GenerationCreate.model_json_schema()}},
    }
}


@router.post(
    "",
    status_code=status.HTTP_202_ACCEPTED,
    openapi_extra=_BODY,
    responses={
        200: {"model": GenerationView, "headers": LOCATION | REPLAYED | PREFERENCE_APPLIED},
        202: {"headers": LOCATION | RETRY_AFTER_IF_ANY | REPLAYED | PREFERENCE_APPLIED},
    },
)
@declares(*CREATE_ERRORS)
async def create_generation(
    deadlines: DeadlineHeaders,
    body: GenerationBody,
    key: IdempotencyKey,
    caller: CanCreateGenerations,
    services: ServicesDep,
    request: Request,
    response: Response,
    wait_seconds: PreferredWait,
) -> GenerationView:
    """Accept a generation. Repeating the call with the same Idempotency-Key returns the same one.

    With `Prefer: wait=N` the response comes as soon as it has ended, with 200, or after N seconds with 202.
    """
    controls = body.controls(deadlines.cancel_after_seconds, deadlines.start_within_seconds)
    await services.webhook_endpoints.check_job_webhook(
        caller.tenant_id, body.webhook_url, body.webhook_events
    )
    command = GenerationCommand(
        body.model,
        body.parameters(),
        body.metadata or {},
        tuple(body.inputs or ()),
        body.mask,
        controls,
        max_cost=body.max_cost,
    )
    generation, is_new = await services.generation_service.accept(caller, command, key)
    generation = await wait_and_describe(services, request, response, generation, wait_seconds, is_new=is_new)
    return services.serializer.serialize_for(caller, generation)


@router.get(
    "/{generation_id}",
    response_model=GenerationView,
    responses={200: {"headers": RETRY_AFTER_IF_ANY | ENTITY_TAG}, 304: {"headers": ENTITY_TAG}},
)
async def get_generation(
    generation: WatchedGeneration,
    request: Request,
    services: ServicesDep,
    response: Response,
    wait_seconds: Annotated[int, Query(alias="wait", ge=0, le=MAX_WAIT_SECONDS)] = 0,
    if_none_match: IfNoneMatch = None,
    *,
    live: bool = False,
) -> GenerationView | Response:
    """Get a generation from its row. `live=true` also queries its workflow, if that is quick.

    With `wait=N` the response comes as soon as it has ended, or after N seconds.
    """
    tenant_id, generation_id = generation.tenant_id, generation.id
    if wait_seconds and not generation.status.is_terminal:
        waiting = client_of(request).waiting_for_events()
        generation = await services.waiter.wait_until_ended(
            tenant_id, generation_id, wait_seconds, waiting, key_of(request)
        )
    view = services.serializer.serialize(generation)
    position = None
    if generation.stage is Stage.THROTTLED:
        position = await services.slots.queue_position(generation_id)
        if position is not None:
            view.queue = serialize_position(position)
    if not generation.status.is_terminal:
        job_progress = await services.progress.read(generation, position)
        view.progress = serialize_progress(job_progress) if job_progress is not None else None
        response.headers["Retry-After"] = RETRY_AFTER_SECONDS
        if live:
            progress = await services.workflow_status.query(tenant_id, generation_id)
            view.live = dict(progress) if progress is not None else None
    return respond_unless_known(view, response, if_none_match)


@router.delete("/{generation_id}", status_code=status.HTTP_204_NO_CONTENT)
@declares(NotTerminal)
async def delete_generation(
    generation_id: GenerationId, caller: CanCancelGenerations, services: ServicesDep
) -> None:
    """Erase an ended generation: prompt, inputs, images. What it cost stays. 409 `not_terminal` before."""
    await services.erasure.delete_generation(caller.tenant_id, generation_id, by=actor_of(caller))


@router.post(
    "/{generation_id}/cancel",
    status_code=status.HTTP_202_ACCEPTED,
    responses={202: {"headers": RETRY_AFTER_IF_ANY}},
)
@declares(TooLateToCancel)
async def cancel_generation(
    generation_id: GenerationId, caller: CanCancelGenerations, services: ServicesDep, response: Response
) -> GenerationView:
    """Stop and refund. 409 `too_late_to_cancel` once the images are being stored."""
    generation = await services.generation_service.cancel(caller.tenant_id, generation_id)
    if not generation.status.is_terminal:
        response.headers["Retry-After"] = RETRY_AFTER_SECONDS
    return services.serializer.serialize_for(caller, generation)
