"""List generations."""

from typing import Annotated

from fastapi import APIRouter, Depends, Query

from api.deps import CanReadGenerations, ServicesDep
from api.http.list_query import ListQuery, read_list_query
from api.http.pagination import GENERATION_CURSOR, generation_cursor, read_generation_cursor
from api.http.schemas.generations import GenerationPage

router = APIRouter(prefix="/v1/generations", tags=["generations"])


@router.get("")
async def list_generations(
    caller: CanReadGenerations,
    services: ServicesDep,
    query: Annotated[ListQuery, Depends(read_list_query)],
    cursor: Annotated[str | None, Query(max_length=200, json_schema_extra=GENERATION_CURSOR)] = None,
    limit: Annotated[int, Query(ge=1, le=100)] = 20,
) -> GenerationPage:
    """List generations, newest first, or by `sort`. A list by duration or cost has those that have ended.

    A page may be shorter than `limit` before the last one, where what is looked for is rare.
    """
    after = read_generation_cursor(cursor, query.wanted, query.order)
    found = await services.generations.list_generations(
        caller.tenant_id, query.wanted, query.order, after=after, limit=limit
    )
    following = found.next
    return GenerationPage(
        data=[services.serializer.serialize(generation) for generation in found.generations],
        next_cursor=generation_cursor(following, query.wanted, query.order) if following else None,
    )
