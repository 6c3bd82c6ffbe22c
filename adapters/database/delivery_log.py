"""Deliveries, as their tenant sees them: listed, read with their attempts, sent again."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import func, select, text, tuple_
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from adapters.database.deliveries import to_delivery
from adapters.database.engine import Database
from adapters.database.ids import new_id
from adapters.database.tables import DeliveryAttemptRow, DeliveryRow, WebhookEndpointRow
from domain.errors import DeliveryNotFound, WebhookEndpointDisabled
from domain.ports.webhooks import Page, Resent
from domain.webhooks import (
    PING_TYPE,
    Delivery,
    DeliveryAttempt,
    DeliveryStatus,
    WebhookEndpoint,
    workflow_id_of,
)

_MAX_ATTEMPTS = 200
_RESEND = text("SELECT * FROM resend_deliveries(:endpoint, :since, :limit)")


class PostgresDeliveryLog:
    """Reads the deliveries of a tenant, and has them sent again."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def list_deliveries(
        self,
        endpoint: WebhookEndpoint,
        *,
        status: DeliveryStatus | None,
        generation_id: str | None,
        after: Page | None,
        limit: int,
    ) -> Sequence[Delivery]:
        created_at, row_id = col(DeliveryRow.created_at), col(DeliveryRow.id)
        query = select(DeliveryRow).where(col(DeliveryRow.endpoint_id) == endpoint.id)
        if status is not None:
            query = query.where(col(DeliveryRow.status) == status)
        if generation_id is not None:
            query = query.where(col(DeliveryRow.generation_id) == generation_id)
        if after is not None:
            query = query.where(tuple_(created_at, row_id) < tuple_(after.created_at, after.id))
        query = query.order_by(created_at.desc(), row_id.desc()).limit(limit)
        async with self._database.begin() as session:
            return [to_delivery(row) for row in await session.scalars(query)]

    async def get_delivery_of(
        self, tenant_id: str, delivery_id: str
    ) -> tuple[Delivery, Sequence[DeliveryAttempt]]:
        newest = (
            select(DeliveryAttemptRow)
            .where(col(DeliveryAttemptRow.delivery_id) == delivery_id)
            .order_by(col(DeliveryAttemptRow.number).desc())
            .limit(_MAX_ATTEMPTS)
        )
        async with self._database.begin() as session:
            row, _ = await _delivery_of(session, tenant_id, delivery_id)
            attempts = [_attempt(each) for each in await session.scalars(newest)]
        return to_delivery(row), attempts[::-1]

    async def add_ping(self, endpoint: WebhookEndpoint) -> Delivery:
        if not endpoint.is_enabled:
            raise WebhookEndpointDisabled
        async with self._database.begin() as session:
            row = DeliveryRow(
                id=new_id("msg"),
                tenant_id=endpoint.tenant_id,
                endpoint_id=endpoint.id,
                type=PING_TYPE,
                data={"endpoint_id": endpoint.id},
                status=DeliveryStatus.PENDING,
            )
            row.next_attempt_at = await session.scalar(select(func.now()))
            session.add(row)
            await session.flush()
            await session.refresh(row)
            return to_delivery(row)

    async def resend_delivery(self, tenant_id: str, delivery_id: str) -> tuple[Delivery, str | None]:
        async with self._database.begin() as session:
            row, is_open = await _delivery_of(session, tenant_id, delivery_id, is_locked=True)
            if not is_open:
                raise WebhookEndpointDisabled
            if row.status == DeliveryStatus.PENDING:
                workflow_id = workflow_id_of(row.id, row.run)
                return to_delivery(row), workflow_id if row.started_at is not None else None
            row.status, row.run = DeliveryStatus.PENDING, row.run + 1
            row.started_at = row.finished_at = None
            row.next_attempt_at = await session.scalar(select(func.now()))
            return to_delivery(row), None

    async def resend_since(self, endpoint: WebhookEndpoint, since: datetime, limit: int) -> Resent:
        if not endpoint.is_enabled:
            raise WebhookEndpointDisabled
        values = {"endpoint": endpoint.id, "since": since, "limit": limit}
        [row] = await self._database.call(_RESEND, values)
        return Resent(row.started, row.is_complete)


async def _delivery_of(
    session: AsyncSession, tenant_id: str, delivery_id: str, *, is_locked: bool = False
) -> tuple[DeliveryRow, bool]:
    """Return the delivery, and whether its endpoint may get it."""
    query: Any = (
        select(DeliveryRow, WebhookEndpointRow)
        .join(WebhookEndpointRow, col(WebhookEndpointRow.id) == col(DeliveryRow.endpoint_id))
        .where(col(DeliveryRow.id) == delivery_id, col(DeliveryRow.tenant_id) == tenant_id)
    )
    if is_locked:
        query = query.with_for_update(of=DeliveryRow)
    found = (await session.execute(query)).one_or_none()
    if found is None:
        raise DeliveryNotFound
    row, endpoint = found
    return row, endpoint.is_enabled and endpoint.deleted_at is None


def _attempt(row: DeliveryAttemptRow) -> DeliveryAttempt:
    return DeliveryAttempt(
        row.number, row.at, row.response_status, row.duration_ms, row.error_code, row.excerpt
    )
