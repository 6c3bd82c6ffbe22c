"""Create a batch, get it, list batches and their items, cancel."""

from typing import Annotated

from fastapi import APIRouter, Query, Response, status

from api.deps import (
    CanCancelGenerations,
    CanCreateGenerations,
    CanReadGenerations,
    IdempotencyKey,
    Services,
    ServicesDep,
)
from api.http.accepted import REPLAYED, REPLAYED_BEFORE, RETRY_AFTER_SECONDS
from api.http.batch_bodies import BatchBody, BatchId
from api.http.batch_view import batch_url, serialize_batch, serialize_item
from api.http.declarations import declares
from api.http.pagination import (
    BATCH_CURSOR,
    ITEM_CURSOR,
    batch_cursor,
    item_cursor,
    read_batch_cursor,
    read_item_cursor,
)
from api.http.response_headers import LOCATION, RETRY_AFTER_IF_ANY
from api.http.response_headers import REPLAYED as REPLAYED_HEADERS
from api.http.schemas.batches import BatchCreate, BatchItemPage, BatchPage, BatchView
from api.services.batches import BatchCommand
from domain.auth import Caller
from domain.batches import Batch, BatchStatus, ItemStatus
from domain.errors import (
    IdempotencyKeyReused,
    InsufficientCredits,
    InvalidInput,
    KeyBudgetExceeded,
    MaxCostExceeded,
    OutcomeUnknown,
    TooLateToCancel,
    TooManyOpenBatches,
    UnchargedCostExceeded,
)

router = APIRouter(prefix="/v1/batches", tags=["batches"])
_BODY = {
    "requestBody": {
        "required": True,
        "content": {"application/json": {"schema": BatchCreate.model_json_schema()}},
    }
}


@router.post(
    "",
    status_code=status.HTTP_202_ACCEPTED,
    openapi_extra=_BODY,
    responses={202: {"headers": LOCATION | RETRY_AFTER_IF_ANY | REPLAYED_HEADERS}},
)
@declares(
    *(IdempotencyKeyReused, OutcomeUnknown, MaxCostExceeded, InsufficientCredits, UnchargedCostExceeded),
    *(KeyBudgetExceeded, TooManyOpenBatches),
)
async def create_batch(
    body: BatchBody,
    key: IdempotencyKey,
    caller: CanCreateGenerations,
    services: ServicesDep,
    response: Response,
) -> BatchView:
    """Accept up to 1,000 generations, or a file with up to 50,000, all of them or none.

    Each item becomes a generation like any other; `concurrency` of them are open at once. Repeating the call
    with the same Idempotency-Key returns the same batch. A file is checked after the response.
    """
    await _check_webhooks(services, caller, body)
    batch, is_new = await services.batches.create(caller, body, key)
    response.headers["Location"] = batch_url(services.serializer, batch.id)
    if not is_new:
        response.headers[REPLAYED] = response.headers[REPLAYED_BEFORE] = "true"
    return _describe(services, caller, batch, response)


@router.get("/{batch_id}", responses={200: {"headers": RETRY_AFTER_IF_ANY}})
async def get_batch(
    batch_id: BatchId, caller: CanReadGenerations, services: ServicesDep, response: Response
) -> BatchView:
    """Get a batch: how many of its items are where, and what they cost so far."""
    batch = await services.batches.rows.get_batch_of(caller.tenant_id, batch_id)
    return _describe(services, caller, batch, response)


@router.get("")
async def list_batches(
    caller: CanReadGenerations,
    services: ServicesDep,
    status: Annotated[BatchStatus | None, Query()] = None,
    cursor: Annotated[str | None, Query(max_length=200, json_schema_extra=BATCH_CURSOR)] = None,
    after: Annotated[
        str | None, Query(max_length=100, description="The id of a batch, for OpenAI's clients.")
    ] = None,
    limit: Annotated[int, Query(ge=1, le=100)] = 20,
) -> BatchPage:
    """List batches, newest first."""
    last = read_batch_cursor(cursor) if cursor is not None else _read_after(after)
    found = await services.batches.rows.list_batches(
        caller.tenant_id, after=last, limit=limit + 1, status=status
    )
    page = found[:limit]
    return BatchPage(
        data=[serialize_batch(services.serializer, caller, batch) for batch in page],
        next_cursor=batch_cursor(page[-1].id) if len(found) > limit else None,
        first_id=page[0].id if page else None,
        last_id=page[-1].id if page else None,
        has_more=len(found) > limit,
    )


@router.get("/{batch_id}/items")
async def list_batch_items(
    batch_id: BatchId,
    caller: CanReadGenerations,
    services: ServicesDep,
    status: Annotated[ItemStatus | None, Query()] = None,
    cursor: Annotated[str | None, Query(max_length=200, json_schema_extra=ITEM_CURSOR)] = None,
    limit: Annotated[int, Query(ge=1, le=100)] = 20,
) -> BatchItemPage:
    """List items by their index, each with its job and the images of that."""
    found = await services.batches.rows.list_batch_items(
        caller.tenant_id, batch_id, after=read_item_cursor(cursor), limit=limit + 1, status=status
    )
    page = found[:limit]
    return BatchItemPage(
        data=[serialize_item(services.serializer, item) for item in page],
        next_cursor=item_cursor(page[-1].index) if len(found) > limit else None,
    )


@router.post(
    "/{batch_id}/cancel",
    status_code=status.HTTP_202_ACCEPTED,
    responses={202: {"headers": RETRY_AFTER_IF_ANY}},
)
@declares(TooLateToCancel)
async def cancel_batch(
    batch_id: BatchId, caller: CanCancelGenerations, services: ServicesDep, response: Response
) -> BatchView:
    """Make no more of it, and cancel what is open. 409 `too_late_to_cancel` once it has ended otherwise."""
    batch = await services.batches.cancel(caller.tenant_id, batch_id)
    return _describe(services, caller, batch, response)


async def _check_webhooks(services: Services, caller: Caller, body: BatchCommand) -> None:
    """Raises InvalidInput, naming the first item of those whose webhook is wrong in the same way."""
    checked: set[tuple[str | None, tuple[str, ...]]] = set()
    for item in body.items:
        controls = item.request.controls
        webhook = (controls.webhook_url, controls.webhook_events)
        if webhook in checked or webhook == (None, ()):
            continue
        try:
            await services.webhook_endpoints.check_job_webhook(caller.tenant_id, *webhook)
        except InvalidInput as error:
            named = tuple((f"items.{item.index}.{field}", limit) for field, limit in error.errors)
            raise InvalidInput(errors=named) from error
        checked.add(webhook)


def _read_after(after: str | None) -> str | None:
    if after is not None and "\0" in after:
        raise InvalidInput(errors=(("after", "the id of a batch"),))
    return after


def _describe(services: Services, caller: Caller, batch: Batch, response: Response) -> BatchView:
    if not batch.status.is_terminal:
        response.headers["Retry-After"] = RETRY_AFTER_SECONDS
    return serialize_batch(services.serializer, caller, batch)
