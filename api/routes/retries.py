"""Ask again for what an ended generation was asked for."""

from fastapi import APIRouter, Request, Response, status

from api.deps import CanCreateGenerations, GenerationId, IdempotencyKey, ServicesDep
from api.http.accepted import CREATE_ERRORS, wait_and_describe
from api.http.declarations import declares
from api.http.durations import DeadlineHeaders
from api.http.preferences import PreferredWait
from api.http.response_headers import LOCATION, PREFERENCE_APPLIED, REPLAYED, RETRY_AFTER_IF_ANY
from api.http.schemas.generations import GenerationView
from api.services.retries import Retries
from domain.errors import InvalidInput, NotTerminal, RequestErased

router = APIRouter(prefix="/v1/generations", tags=["generations"])


@router.post(
    "/{generation_id}/retry",
    status_code=status.HTTP_202_ACCEPTED,
    responses={
        200: {"model": GenerationView, "headers": LOCATION | REPLAYED | PREFERENCE_APPLIED},
        202: {"headers": LOCATION | RETRY_AFTER_IF_ANY | REPLAYED | PREFERENCE_APPLIED},
    },
)
@declares(*CREATE_ERRORS, InvalidInput, NotTerminal, RequestErased)
async def retry_generation(
    generation_id: GenerationId,
    key: IdempotencyKey,
    caller: CanCreateGenerations,
    deadlines: DeadlineHeaders,
    services: ServicesDep,
    request: Request,
    response: Response,
    wait_seconds: PreferredWait,
) -> GenerationView:
    """Make a new generation of the same request, which names this one in `retry_of` and is charged anew.

    409 `not_terminal` before this one has ended, 409 `request_erased` if its request is no longer stored.
    """
    if await request.body():
        raise InvalidInput(errors=(("body", "a retry takes none: it repeats the request as it was"),))
    retries = Retries(
        services.catalog, services.generations, services.generation_service, services.rate_limiter
    )
    generation, is_new = await retries.retry(
        caller, generation_id, key, deadlines.cancel_after_seconds, deadlines.start_within_seconds
    )
    generation = await wait_and_describe(services, request, response, generation, wait_seconds, is_new=is_new)
    return services.serializer.serialize_for(caller, generation)
