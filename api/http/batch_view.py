"""From batches and their items to what a client sees."""

from dataclasses import asdict

from api.http.batch_results import ResultKind
from api.http.schemas.batches import (
    BatchCostView,
    BatchCountsView,
    BatchErrorsView,
    BatchErrorView,
    BatchItemView,
    BatchReasonView,
    BatchUrlsView,
    BatchView,
    ItemErrorView,
    RequestCountsView,
)
from api.http.serializers import GenerationSerializer
from domain.auth import Caller, Scope
from domain.batches import Batch, BatchItem, BatchStatus, LineError
from domain.errors import InvalidInput, MaxCostExceeded, describe


def serialize_batch(serializer: GenerationSerializer, caller: Caller, batch: Batch) -> BatchView:
    """Leave out what the client sent, for a key that may write and not read."""
    url, counts = batch_url(serializer, batch.id), batch.counts
    is_reader = Scope.READ_GENERATIONS in caller.scopes
    return BatchView(
        id=batch.id,
        status=batch.status,
        endpoint=batch.endpoint,
        input_file_id=batch.input_file_id,
        concurrency=batch.concurrency,
        max_cost=batch.max_cost,
        metadata=dict(batch.metadata) if is_reader else {},
        counts=BatchCountsView(**asdict(counts)),
        cost=BatchCostView(estimated=batch.price_credits, charged=batch.charged_credits),
        error=_reason(batch),
        errors=_errors(batch) if batch.error_count else None,
        created_at=batch.created_at,
        started_at=batch.started_at,
        cancel_requested_at=batch.cancel_requested_at,
        finished_at=batch.finished_at,
        urls=BatchUrlsView(self=url, cancel=f"{url}/cancel", items=f"{url}/items", results=f"{url}/results"),
        request_counts=RequestCountsView(
            total=counts.total, completed=counts.completed, failed=counts.failed + counts.canceled
        ),
        output_file_id=ResultKind.OUTPUT.file_of(batch),
        error_file_id=ResultKind.ERRORS.file_of(batch),
    )


def batch_url(serializer: GenerationSerializer, batch_id: str) -> str:
    return f"{serializer.public_url}/v1/batches/{batch_id}"


def serialize_item(serializer: GenerationSerializer, item: BatchItem) -> BatchItemView:
    generation = item.generation
    view = serializer.serialize(generation) if generation is not None else None
    error = (
        ItemErrorView(code=item.error_code, message=item.error_text or describe(item.error_code).message)
        if item.error_code
        else None
    )
    return BatchItemView(
        index=item.index,
        custom_id=item.custom_id,
        status=item.status,
        generation_id=view.id if view is not None else None,
        attached=item.is_attached,
        cost=BatchCostView(
            estimated=item.price_credits, charged=view.cost.charged if view and not item.is_attached else 0
        ),
        error=view.error if view is not None and error is None else error,
        images=view.images if view is not None else [],
        undelivered=view.undelivered if view is not None else [],
        generation_url=view.urls.self if view is not None else None,
    )


def _reason(batch: Batch) -> BatchReasonView | None:
    code = batch.error_code
    return BatchReasonView(code=code, message=_explanation(code, batch)) if code is not None else None


def _explanation(code: str, batch: Batch) -> str:
    """Return what is wrong with this batch: which lines, or how much it would cost."""
    if code == InvalidInput.code and batch.error_count:
        return f"{batch.error_count} things are wrong in the lines of the file; errors has the first of them"
    general = describe(code).message
    if not batch.price_credits or batch.status is not BatchStatus.FAILED:
        return general
    if code == MaxCostExceeded.code:
        return f"it costs {batch.price_credits} credits, and max_cost is {batch.max_cost}"
    return f"the price of all lines is {batch.price_credits} credits: {general}"


def _errors(batch: Batch) -> BatchErrorsView:
    return BatchErrorsView(data=[_error(error) for error in batch.errors], total=batch.error_count)


def _error(error: LineError) -> BatchErrorView:
    return BatchErrorView(code=error.code, line=error.line, param=error.field or None, message=error.text)
