"""Who may watch one generation: its tenant's keys, and whoever has a watch token for it."""

from datetime import UTC, datetime
from typing import Annotated

from fastapi import Depends, Query, Request

from api.deps import READER_ERRORS, GenerationId, ServicesDep, reader_of
from api.http.client import client_of
from api.http.declarations import declares
from domain.auth import Scope
from domain.errors import LinkExpired, SignatureInvalid
from domain.generation import Generation
from domain.url_signatures import check_watch_token


@declares(
    *(*READER_ERRORS, SignatureInvalid, LinkExpired),
    scope=Scope.READ_GENERATIONS,
    security=("bearer", "watch_token"),
)
async def _watched_generation(
    generation_id: GenerationId,
    request: Request,
    services: ServicesDep,
    token: Annotated[str | None, Query(max_length=100)] = None,
) -> Generation:
    """Return the generation. Raises SignatureInvalid, LinkExpired, and what a key's reader may raise."""
    if token is None:
        caller = await reader_of(request, services)
        return await services.generations.get_generation_of(caller.tenant_id, generation_id)
    check_watch_token(services.keyring, generation_id, token, datetime.now(UTC))
    generation = await services.generations.get_generation(generation_id)
    await client_of(request).mark_authenticated(generation.tenant_id)
    await services.tenants.require_active(generation.tenant_id)
    return generation


WatchedGeneration = Annotated[Generation, Depends(_watched_generation)]
