"""The response to a request that a job was accepted for, or had been before."""

import logging

from fastapi import Request, Response, status

from api.deps import Services, key_of
from api.http.client import client_of
from api.http.preferences import APPLIED
from api.http.problems import note_accepted
from domain.errors import (
    DatabaseUnavailable,
    FileQuotaExceeded,
    IdempotencyKeyInUse,
    IdempotencyKeyReused,
    ImageDecoderUnavailable,
    InsufficientCredits,
    KeyBudgetExceeded,
    MaxCostExceeded,
    ModelNotFound,
    ModelUnavailable,
    OutcomeUnknown,
    StorageUnavailable,
    TooManyHeldCredits,
    TooManyOpenGenerations,
    TooManyWaitingGenerations,
    UnchargedCostExceeded,
)
from domain.generation import Generation

RETRY_AFTER_SECONDS = "2"
# The second is the name of before: docs/versioning.md.
REPLAYED, REPLAYED_BEFORE = "Idempotent-Replayed", "Idempotency-Replayed"

# What may refuse a new job, on whatever route it is asked for.
CREATE_ERRORS = (
    *(IdempotencyKeyReused, IdempotencyKeyInUse, OutcomeUnknown),
    *(ModelNotFound, ModelUnavailable, MaxCostExceeded, InsufficientCredits),
    *(KeyBudgetExceeded, TooManyHeldCredits),
    *(TooManyOpenGenerations, TooManyWaitingGenerations, UnchargedCostExceeded, FileQuotaExceeded),
    *(StorageUnavailable, ImageDecoderUnavailable),
)

_log = logging.getLogger("darkroom.api")


async def wait_and_describe(
    services: Services,
    request: Request,
    response: Response,
    generation: Generation,
    wait_seconds: int | None,
    *,
    is_new: bool,
) -> Generation:
    """Wait as long as the client prefers, and set the header fields; return the generation as it is then."""
    note_accepted(request, generation.id)
    response.headers["Location"] = services.serializer.generation_url(generation.id)
    response.headers["Retry-After"] = RETRY_AFTER_SECONDS
    if not is_new:
        response.headers[REPLAYED] = response.headers[REPLAYED_BEFORE] = "true"
    if wait_seconds is not None:
        waiting = client_of(request).waiting_for_events()
        try:
            generation = await services.waiter.wait_until_ended(
                generation.tenant_id, generation.id, wait_seconds, waiting, key_of(request)
            )
        except DatabaseUnavailable:  # its client must learn the id all the same
            _log.warning("the database went away while %s was waited for", generation.id)
        response.headers[APPLIED] = f"wait={wait_seconds}"
        if generation.status.is_terminal:
            response.status_code = status.HTTP_200_OK
    if generation.status.is_terminal:
        del response.headers["Retry-After"]
    return generation
