"""Deliveries, as the process that sends them works on them: made, started, attempted, ended."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from sqlalchemy import Row, func, select, text
from sqlmodel import col

from adapters.database.engine import Database
from adapters.database.sealed import Sealer
from adapters.database.tables import DeliveryRow, WebhookEndpointRow
from domain.ports.webhooks import AttemptRecord, Dispatched
from domain.webhooks import (
    DEFAULT_SCHEDULE_SECONDS,
    Delivery,
    DeliveryInput,
    DeliveryStatus,
    DeliveryToSend,
)

_DISPATCH = text("SELECT * FROM dispatch_events(:limit)")
_INPUT = "SELECT id, tenant_id, endpoint_id, type, run, attempts, created_at FROM deliveries"
_IS_UNSTARTED = "status = 'pending' AND started_at IS NULL"
# In turns of the tenants: what one has resent is older than what all others have.
UNSTARTED = f"""
WITH RECURSIVE tenants AS (
    (SELECT tenant_id FROM deliveries WHERE {_IS_UNSTARTED} ORDER BY tenant_id LIMIT 1)
    UNION ALL
    SELECT (
        SELECT tenant_id FROM deliveries WHERE {_IS_UNSTARTED} AND tenant_id > tenants.tenant_id
        ORDER BY tenant_id LIMIT 1
    ) FROM tenants WHERE tenant_id IS NOT NULL
)
SELECT delivery.* FROM tenants CROSS JOIN LATERAL (
    {_INPUT} WHERE {_IS_UNSTARTED} AND tenant_id = tenants.tenant_id ORDER BY created_at, id LIMIT :limit
) AS delivery
ORDER BY row_number() OVER (PARTITION BY delivery.tenant_id ORDER BY delivery.created_at, delivery.id),
    delivery.created_at, delivery.id LIMIT :limit
"""  # noqa: S608 - constants
_UNSTARTED = text(UNSTARTED)
_MARK_STARTED = text("""
UPDATE deliveries SET started_at = now()
FROM unnest(CAST(:ids AS text[]), CAST(:runs AS bigint[])) AS started (id, run)
WHERE deliveries.id = started.id AND deliveries.run = started.run AND started_at IS NULL
""")
_OVERDUE = text(f"""
{_INPUT} WHERE status = 'pending' AND started_at IS NOT NULL
    AND next_attempt_at < now() - CAST(:age AS interval) AND started_at < now() - CAST(:age AS interval)
ORDER BY next_attempt_at LIMIT :limit
""")
_RESTART = text("""
UPDATE deliveries SET run = run + 1, started_at = NULL, next_attempt_at = now()
WHERE id = :id AND run = :run AND status = 'pending'
""")
_NOTE_WAITING = text("""
UPDATE deliveries SET next_attempt_at = now()
WHERE id = :id AND run = :run AND status = 'pending' AND next_attempt_at < now()
""")
_PURGE = text("""
DELETE FROM deliveries WHERE id IN (
    SELECT id FROM deliveries WHERE finished_at < now() - CAST(:age AS interval)
    ORDER BY finished_at LIMIT :limit FOR UPDATE SKIP LOCKED
) RETURNING 1
""")
_RECORD = text("""
SELECT record_delivery_attempt(
    :delivery, :number, :status, :response_status, :duration_ms, :error, :excerpt, :next_seconds,
    :disable_seconds
) AS status
""")
_CANCEL = text("""
UPDATE deliveries SET status = 'canceled', finished_at = now(), next_attempt_at = NULL
WHERE id = :id AND status = 'pending'
""")
_IS_OVERLAPPING = func.coalesce(col(WebhookEndpointRow.previous_until) > func.now(), False)
_LOAD = select(DeliveryRow, WebhookEndpointRow, _IS_OVERLAPPING).join(
    WebhookEndpointRow, col(WebhookEndpointRow.id) == col(DeliveryRow.endpoint_id)
)


class PostgresDeliveries:
    """Works on deliveries; each step is one statement or function. The clock is the database's.

    schedule_seconds: For the workflows that are started.
    """

    def __init__(
        self,
        database: Database,
        sealer: Sealer,
        schedule_seconds: Sequence[float] = DEFAULT_SCHEDULE_SECONDS,
    ) -> None:
        self._database = database
        self._sealer = sealer
        self._schedule_seconds = tuple(schedule_seconds)

    async def dispatch(self, limit: int) -> Dispatched:
        [row] = await self._database.call(_DISPATCH, {"limit": limit})
        return Dispatched(row.events_read, row.deliveries_made, row.is_waited_for)

    async def list_unstarted(self, limit: int) -> Sequence[DeliveryInput]:
        return [self._input(row) for row in await self._database.call(_UNSTARTED, {"limit": limit})]

    async def mark_started(self, started: Sequence[DeliveryInput]) -> None:
        # Of this run: one that has ended since may be waiting for the next already.
        values = {"ids": [each.delivery_id for each in started], "runs": [each.run for each in started]}
        await self._database.call(_MARK_STARTED, values)

    async def list_overdue(self, age: timedelta, limit: int) -> Sequence[DeliveryInput]:
        rows = await self._database.call(_OVERDUE, {"age": age, "limit": limit})
        return [self._input(row) for row in rows]

    async def restart(self, delivery_id: str, run: int) -> None:
        await self._database.call(_RESTART, {"id": delivery_id, "run": run})

    async def note_waiting(self, delivery_id: str, run: int) -> None:
        await self._database.call(_NOTE_WAITING, {"id": delivery_id, "run": run})

    async def purge_ended(self, age: timedelta, limit: int) -> int:
        return len(await self._database.call(_PURGE, {"age": age, "limit": limit}))

    async def load_delivery(self, delivery_id: str) -> DeliveryToSend | None:
        async with self._database.begin() as session:
            query = _LOAD.where(col(DeliveryRow.id) == delivery_id)
            found = (await session.execute(query)).one_or_none()
        if found is None:
            return None
        row, endpoint, is_overlapping = found
        # A deleted one has no secret any more.
        sealed = [endpoint.secret] if endpoint.deleted_at is None else []
        if sealed and endpoint.previous_secret is not None and is_overlapping:
            sealed.append(endpoint.previous_secret)
        return DeliveryToSend(
            delivery=to_delivery(row),
            url=endpoint.url or row.url or "",
            secrets=[self._sealer.open(secret, endpoint.id) for secret in sealed],
            is_endpoint_open=endpoint.is_enabled and endpoint.deleted_at is None,
        )

    async def record_attempt(self, attempt: AttemptRecord, disable_after: timedelta) -> DeliveryStatus:
        response = attempt.response
        values = {
            "delivery": attempt.delivery_id,
            "number": attempt.number,
            "status": attempt.status,
            "response_status": response.status,
            "duration_ms": response.duration_ms,
            "error": response.error_code,
            "excerpt": response.excerpt,
            "next_seconds": attempt.next_wait_seconds,
            "disable_seconds": disable_after.total_seconds(),
        }
        [row] = await self._database.call(_RECORD, values)
        return DeliveryStatus(row.status)

    async def cancel_delivery(self, delivery_id: str) -> None:
        await self._database.call(_CANCEL, {"id": delivery_id})

    def _input(self, row: Row[Any]) -> DeliveryInput:
        return DeliveryInput(
            delivery_id=row.id,
            tenant_id=row.tenant_id,
            endpoint_id=row.endpoint_id,
            type=row.type,
            run=row.run,
            first_number=row.attempts + 1,
            schedule_seconds=self._schedule_seconds,
        )


def to_delivery(row: DeliveryRow) -> Delivery:
    return Delivery(
        id=row.id,
        tenant_id=row.tenant_id,
        endpoint_id=row.endpoint_id,
        event_id=row.event_id,
        generation_id=row.generation_id,
        number=row.number,
        type=row.type,
        data=row.data,
        url=row.url,
        status=DeliveryStatus(row.status),
        attempts=row.attempts,
        occurred_at=row.occurred_at,
        created_at=row.created_at,
        next_attempt_at=row.next_attempt_at,
        finished_at=row.finished_at,
    )
