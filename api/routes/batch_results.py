"""The results of a batch, as one stream of lines."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Annotated, Any

from fastapi import APIRouter, Query
from fastapi.responses import StreamingResponse

from api.deps import CanReadGenerations, Services, ServicesDep
from api.http.batch_bodies import BatchId
from api.http.batch_results import MEDIA_TYPE, ResultKind, result_line
from domain.batches import MAX_FILE_ITEMS, Batch, BatchItem

router = APIRouter(prefix="/v1/batches", tags=["batches"])
# As many as are in memory at once.
_PAGE_ITEMS = 100
# A stream that is cut off lacks its end, and goes on with `after`.
_MAX_SECONDS = 900.0
_RESPONSES: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "A line for each item that has ended, by index.",
        "content": {MEDIA_TYPE: {"schema": {"type": "string"}}},
    }
}


@router.get("/{batch_id}/results", response_class=StreamingResponse, responses=_RESPONSES)
async def get_batch_results(
    batch_id: BatchId,
    caller: CanReadGenerations,
    services: ServicesDep,
    after: Annotated[int | None, Query(ge=0, lt=MAX_FILE_ITEMS)] = None,
) -> StreamingResponse:
    """Read what came of all items that have ended, in OpenAI's form, also while others are open.

    `after`: the index of the last line that was read, to go on behind it.
    """
    batch = await services.batches.rows.get_batch_of(caller.tenant_id, batch_id)
    return StreamingResponse(await result_lines(services, batch, after), media_type=MEDIA_TYPE)


async def result_lines(
    services: Services, batch: Batch, after: int | None = None, *, kind: ResultKind | None = None
) -> AsyncIterator[str]:
    """Return the lines of the items behind `after`, of one kind if it is given, page by page.

    The first page is read at once, so that what goes wrong there is a response of its own.
    """
    first = await _page(services, batch, after)

    async def lines(page: Sequence[BatchItem]) -> AsyncIterator[str]:
        loop = asyncio.get_running_loop()
        until = loop.time() + _MAX_SECONDS
        while page:
            if loop.time() > until:
                raise TimeoutError
            wanted = (item for item in page if kind is None or kind.has(item))
            found = (result_line(services.serializer, batch, item) for item in wanted)
            yield "".join(line for line in found if line is not None)
            page = await _page(services, batch, page[-1].index) if len(page) == _PAGE_ITEMS else ()

    return lines(first)


async def _page(services: Services, batch: Batch, after: int | None) -> Sequence[BatchItem]:
    return await services.batches.rows.list_batch_items(
        batch.tenant_id, batch.id, after=after, limit=_PAGE_ITEMS
    )
