"""Between rows and domain types: batches, their counts, and what their items ask for."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from sqlalchemy import Executable, Row, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import AsyncSession

from adapters.database.engine import Database
from adapters.database.tables.columns import TERMINAL
from domain.batches import Batch, BatchCounts, BatchStatus, ItemRequest, LineError
from domain.controls import Controls, Priority
from domain.errors import BatchNotFound

# Of the batch `b`: its items by their state, the generations that it made, and those that it found. Of one
# that has ended nothing is read, as its row has the counts: a condition of the join is checked too late.
COUNTS = f"""
SELECT items.total, items.waiting,
    made.open + found.open AS in_progress,
    made.completed + found.completed AS completed,
    items.failed + made.failed + found.failed AS failed,
    items.canceled + made.canceled + found.canceled AS canceled,
    made.charged_credits
FROM (
    SELECT coalesce(sum(number), 0) AS total,
        coalesce(sum(number) FILTER (WHERE state = 'waiting'), 0) AS waiting,
        coalesce(sum(number) FILTER (WHERE state = 'failed'), 0) AS failed,
        coalesce(sum(number) FILTER (WHERE state = 'canceled'), 0) AS canceled
    FROM (SELECT state, count(*) AS number FROM batch_items
        WHERE batch_id = b.id AND b.finished_at IS NULL GROUP BY state) AS by_state
) AS items, (
    SELECT count(*) FILTER (WHERE status NOT IN {TERMINAL}) AS open,
        count(*) FILTER (WHERE status = 'completed') AS completed,
        count(*) FILTER (WHERE status = 'failed') AS failed,
        count(*) FILTER (WHERE status = 'canceled') AS canceled,
        coalesce(sum(charged_credits), 0) AS charged_credits
    FROM generations WHERE batch_id = b.id AND b.finished_at IS NULL
) AS made, (
    SELECT count(*) FILTER (WHERE status NOT IN {TERMINAL}) AS open,
        count(*) FILTER (WHERE status = 'completed') AS completed,
        count(*) FILTER (WHERE status = 'failed') AS failed,
        count(*) FILTER (WHERE status = 'canceled') AS canceled
    FROM batch_items AS item JOIN generations ON generations.id = item.generation_id
    WHERE item.batch_id = b.id AND b.finished_at IS NULL AND item.is_attached AND item.state = 'started'
) AS found
"""  # noqa: S608 - constants


def read_batches(condition: str) -> Executable:
    """Return a statement that selects batches, `b`, with the counts of those that are open."""
    return text(f"""
        SELECT b.*, counts.total, counts.waiting, counts.in_progress, counts.completed, counts.failed,
            counts.canceled, counts.charged_credits AS charged_so_far
        FROM batches AS b LEFT JOIN LATERAL ({COUNTS}) AS counts ON b.finished_at IS NULL
        WHERE {condition}
    """).columns(metadata=JSONB, errors=JSONB)  # noqa: S608 - constants


_READ = read_batches("b.id = :batch")


async def read_batch(where: Database | AsyncSession, batch_id: str) -> Batch:
    """Raises BatchNotFound."""
    if isinstance(where, Database):
        found = list(await where.call(_READ, {"batch": batch_id}))
    else:
        found = list((await where.execute(_READ, {"batch": batch_id})).all())
    if not found:
        raise BatchNotFound
    return to_batch(found[0])


def to_batch(row: Row[Any]) -> Batch:
    return Batch(
        id=row.id,
        tenant_id=row.tenant_id,
        api_key_id=row.api_key_id,
        status=BatchStatus(row.status),
        concurrency=row.concurrency,
        metadata=row.metadata,
        max_cost=row.max_cost,
        input_file_id=row.input_file_id,
        endpoint=row.endpoint,
        price_credits=row.price_credits,
        charged_credits=int(row.charged_credits if row.finished_at is not None else row.charged_so_far),
        counts=_counts(row),
        created_at=row.created_at,
        started_at=row.started_at,
        cancel_requested_at=row.cancel_requested_at,
        finished_at=row.finished_at,
        error_code=row.error_code,
        error_count=row.error_count,
        errors=tuple(LineError(*each) for each in row.errors),
        content_erased_at=row.content_erased_at,
    )


def _counts(row: Row[Any]) -> BatchCounts:
    if row.finished_at is not None:
        return BatchCounts(row.total_items, 0, 0, row.completed_items, row.failed_items, row.canceled_items)
    return BatchCounts(
        int(row.total), int(row.waiting), row.in_progress, row.completed, int(row.failed), int(row.canceled)
    )


def request_to_json(request: ItemRequest) -> dict[str, Any]:
    """Return what an item asks for as its JSON column."""
    defaults, controls = asdict(Controls()), asdict(request.controls)
    return {
        "model": request.model,
        "parameters": dict(request.parameters),
        "metadata": dict(request.metadata),
        "inputs": list(request.inputs),
        "mask": request.mask,
        "controls": {name: value for name, value in controls.items() if value != defaults[name]},
        "max_cost": request.max_cost,
    }


def request_from_json(stored: Mapping[str, Any]) -> ItemRequest:
    return ItemRequest(
        model=stored["model"],
        parameters=stored["parameters"],
        metadata=stored["metadata"],
        inputs=tuple(stored["inputs"]),
        mask=stored["mask"],
        controls=_controls_from_json(stored["controls"]),
        max_cost=stored["max_cost"],
    )


def _controls_from_json(stored: Mapping[str, Any]) -> Controls:
    given = dict(stored)
    if "priority" in given:
        given["priority"] = Priority(given["priority"])
    if "webhook_events" in given:
        given["webhook_events"] = tuple(given["webhook_events"])
    return Controls(**given)
