"""Post a generation, see how it stands, list them, cancel one."""

from typing import Annotated

from fastapi import APIRouter, Query, Response, status

from api.cursors import generation_cursor, read_generation_cursor
from api.deps import GenerationBody, GenerationId, IdempotencyKey, PartsDep, Reader, Writer
from api.intake import Wanted
from api.schemas import GenerationCreate, GenerationPage, GenerationView, QueueView
from domain.generation import Stage, Status

router = APIRouter(prefix="/v1/generations", tags=["generations"])
_ASK_AGAIN = "2"
_BODY = {
    "requestBody": {
        "required": True,
        "content": {"application/json": {"schema": GenerationCreate.model_json_schema()}},
    }
}


@router.post("", status_code=status.HTTP_202_ACCEPTED, openapi_extra=_BODY)
async def create_generation(
    body: GenerationBody, key: IdempotencyKey, caller: Writer, parts: PartsDep, response: Response
) -> GenerationView:
    """Accept a generation. Repeating the call with the same Idempotency-Key returns the same one."""
    wanted = Wanted(body.model, body.parameters(), body.metadata or {}, tuple(body.inputs or ()), body.mask)
    generation, is_new = await parts.intake.accept(caller.tenant_id, wanted, key)
    response.headers["Location"] = parts.views.generation_url(generation.id)
    response.headers["Retry-After"] = _ASK_AGAIN
    if not is_new:
        response.headers["Idempotency-Replayed"] = "true"
    return parts.views.generation(generation)


@router.get("")
async def list_generations(
    caller: Reader,
    parts: PartsDep,
    status_is: Annotated[Status | None, Query(alias="status")] = None,
    cursor: Annotated[str | None, Query(max_length=200)] = None,
    limit: Annotated[int, Query(ge=1, le=100)] = 20,
) -> GenerationPage:
    """Newest first."""
    after = read_generation_cursor(cursor)
    found = await parts.generations.list_for(caller.tenant_id, status=status_is, after=after, limit=limit + 1)
    page = found[:limit]
    return GenerationPage(
        data=[parts.views.generation(generation) for generation in page],
        next_cursor=generation_cursor(page[-1]) if len(found) > limit else None,
    )


@router.get("/{generation_id}")
async def get_generation(
    generation_id: GenerationId, caller: Reader, parts: PartsDep, response: Response, *, live: bool = False
) -> GenerationView:
    """Where a generation stands, from its row. `live=true` also asks its workflow, if that is quick."""
    generation = await parts.generations.get_for(caller.tenant_id, generation_id)
    view = parts.views.generation(generation)
    if generation.stage is Stage.THROTTLED and (standing := await parts.gate.standing(generation_id)):
        view.queue = QueueView(since=standing.since, ahead=standing.ahead)
    if not generation.status.is_terminal:
        response.headers["Retry-After"] = _ASK_AGAIN
        if live and (told := await parts.live.of(caller.tenant_id, generation_id)) is not None:
            view.live = dict(told)
    return view


@router.post("/{generation_id}/cancel", status_code=status.HTTP_202_ACCEPTED)
async def cancel_generation(generation_id: GenerationId, caller: Writer, parts: PartsDep) -> GenerationView:
    """Stop and refund. 409 `too_late_to_cancel` once the images are being stored."""
    return parts.views.generation(await parts.intake.cancel(caller.tenant_id, generation_id))
