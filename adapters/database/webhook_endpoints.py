"""Webhook endpoints: what a tenant makes, changes and deletes, and their secrets."""

import secrets
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from sqlalchemy import func, select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from adapters.database.audit import record
from adapters.database.engine import Database
from adapters.database.ids import new_id
from adapters.database.sealed import Sealer
from adapters.database.tables import TenantRow, WebhookEndpointRow
from adapters.database.tables.columns import NO_KEY_UPDATE
from domain.audit import Actor, AuditAction
from domain.errors import TooManyWebhookEndpoints, WebhookEndpointNotFound
from domain.webhooks import (
    SECRET_OVERLAP,
    DisabledReason,
    WebhookEndpoint,
    secret_hint,
    workflow_id_of,
)

_SECRET_BYTES = 32
_NO_SECRETS: dict[str, Any] = {"secret": "", "previous_secret": None, "previous_until": None}
_CANCEL_DELIVERIES = text("""
UPDATE deliveries SET status = 'canceled', finished_at = now(), next_attempt_at = NULL
WHERE endpoint_id = :endpoint AND status = 'pending' RETURNING id, run, started_at
""")


class PostgresWebhookEndpoints:
    """The endpoints of tenants. A secret leaves it twice: when it is made, and to sign."""

    def __init__(self, database: Database, sealer: Sealer) -> None:
        self._database = database
        self._sealer = sealer

    async def add_endpoint(
        self,
        tenant_id: str,
        url: str,
        description: str,
        event_types: Sequence[str],
        *,
        max_endpoints: int,
        by: Actor,
    ) -> tuple[WebhookEndpoint, bytes]:
        count = select(func.count()).where(*_open_of(tenant_id), col(WebhookEndpointRow.url).is_not(None))
        async with self._database.begin() as session:
            await session.get(TenantRow, tenant_id, with_for_update=NO_KEY_UPDATE)
            if int(await session.scalar(count) or 0) >= max_endpoints:
                raise TooManyWebhookEndpoints
            values = {"url": url, "description": description, "event_types": list(event_types)}
            made = await self._insert(session, tenant_id, values)
            await record(session, by, AuditAction.CREATE_WEBHOOK_ENDPOINT, made[0].id, tenant_id)
            return made

    async def get_endpoint(self, tenant_id: str, endpoint_id: str) -> WebhookEndpoint:
        # Also the one of single jobs, whose deliveries are read like those of others.
        query = select(WebhookEndpointRow).where(
            col(WebhookEndpointRow.id) == endpoint_id, *_open_of(tenant_id)
        )
        async with self._database.begin() as session:
            return _found(await session.scalar(query))

    async def list_endpoints(self, tenant_id: str, limit: int) -> Sequence[WebhookEndpoint]:
        query = (
            select(WebhookEndpointRow)
            .where(*_open_of(tenant_id), col(WebhookEndpointRow.url).is_not(None))
            .order_by(col(WebhookEndpointRow.created_at), col(WebhookEndpointRow.id))
            .limit(limit)
        )
        async with self._database.begin() as session:
            return [to_endpoint(row) for row in await session.scalars(query)]

    async def change_endpoint(
        self, tenant_id: str, endpoint_id: str, changes: Mapping[str, object], *, by: Actor
    ) -> WebhookEndpoint:
        values: dict[str, object] = dict(changes)
        if "is_enabled" in values:
            reason = None if values["is_enabled"] else DisabledReason.CLIENT
            values |= {"disabled_reason": reason, "failing_since": None}
        change = (
            update(WebhookEndpointRow)
            .where(*_listed_of(tenant_id, endpoint_id))
            .values(values or {"description": col(WebhookEndpointRow.description)})
            .returning(WebhookEndpointRow)
        )
        async with self._database.begin() as session:
            changed = _found(await session.scalar(change))
            action = AuditAction.CHANGE_WEBHOOK_ENDPOINT
            await record(session, by, action, endpoint_id, tenant_id, fields=sorted(changes))
            return changed

    async def delete_endpoint(
        self, tenant_id: str, endpoint_id: str, limit: int, *, by: Actor
    ) -> Collection[str]:
        delete = (
            update(WebhookEndpointRow)
            .where(*_listed_of(tenant_id, endpoint_id))
            .values(deleted_at=func.now(), url="", description="", **_NO_SECRETS)
            .returning(col(WebhookEndpointRow.id))
        )
        listed = select(col(WebhookEndpointRow.id)).where(*_listed_of(tenant_id, endpoint_id))
        async with self._database.begin() as session:
            if await session.scalar(listed) is None:
                raise WebhookEndpointNotFound
            # Before the endpoint, as whoever records an attempt locks them in this order. One that is made
            # meanwhile is canceled when it is to be sent.
            canceled = (await session.execute(_CANCEL_DELIVERIES, {"endpoint": endpoint_id})).all()
            if await session.scalar(delete) is None:
                raise WebhookEndpointNotFound
            await record(session, by, AuditAction.DELETE_WEBHOOK_ENDPOINT, endpoint_id, tenant_id)
        return [workflow_id_of(row.id, row.run) for row in canceled if row.started_at is not None][:limit]

    async def rotate_secret(
        self, tenant_id: str, endpoint_id: str, *, by: Actor
    ) -> tuple[WebhookEndpoint, bytes]:
        query = select(WebhookEndpointRow).where(*_listed_of(tenant_id, endpoint_id))
        async with self._database.begin() as session:
            row = await session.scalar(query.with_for_update())
            if row is None:
                raise WebhookEndpointNotFound
            return await self._rotate(session, row, by)

    async def find_job_endpoint(self, tenant_id: str) -> WebhookEndpoint | None:
        async with self._database.begin() as session:
            row = await session.scalar(_select_job_endpoint(tenant_id))
        return to_endpoint(row) if row is not None else None

    async def rotate_job_secret(self, tenant_id: str, *, by: Actor) -> tuple[WebhookEndpoint, bytes]:
        async with self._database.begin() as session:
            await session.get(TenantRow, tenant_id, with_for_update=NO_KEY_UPDATE)
            row = await session.scalar(_select_job_endpoint(tenant_id).with_for_update())
            if row is not None:
                return await self._rotate(session, row, by)
            made = await self._insert(session, tenant_id, {})
            await record(session, by, AuditAction.ROTATE_WEBHOOK_SECRET, made[0].id, tenant_id)
            return made

    async def reseal_secrets(self, limit: int) -> int:
        """Seal secrets under the master key that signs now; return how many rows were not.

        Raises SecretUnreadable for one whose key is not accepted any more.
        """
        secret, previous = col(WebhookEndpointRow.secret), col(WebhookEndpointRow.previous_secret)
        current = f"{self._sealer.key_id}."
        query = (
            select(WebhookEndpointRow)
            .where(
                col(WebhookEndpointRow.deleted_at).is_(None),
                ~secret.startswith(current) | ~previous.startswith(current),
            )
            .order_by(col(WebhookEndpointRow.id))
            .limit(limit)
            .with_for_update()
        )
        async with self._database.begin() as session:
            rows = (await session.scalars(query)).all()
            for row in rows:
                row.secret = self._sealer.seal(self._sealer.open(row.secret, row.id), row.id)
                if row.previous_secret is not None:
                    before = self._sealer.open(row.previous_secret, row.id)
                    row.previous_secret = self._sealer.seal(before, row.id)
        return len(rows)

    async def _insert(
        self, session: AsyncSession, tenant_id: str, values: Mapping[str, object]
    ) -> tuple[WebhookEndpoint, bytes]:
        endpoint_id, secret = new_id("whe"), secrets.token_bytes(_SECRET_BYTES)
        fixed = {
            "id": endpoint_id,
            "tenant_id": tenant_id,
            "secret": self._sealer.seal(secret, endpoint_id),
            "hint": secret_hint(secret),
        }
        made = insert(WebhookEndpointRow).values(fixed | dict(values)).returning(WebhookEndpointRow)
        return to_endpoint((await session.scalars(made)).one()), secret

    async def _rotate(
        self, session: AsyncSession, row: WebhookEndpointRow, by: Actor
    ) -> tuple[WebhookEndpoint, bytes]:
        secret, now = secrets.token_bytes(_SECRET_BYTES), await session.scalar(select(func.now()))
        assert now is not None
        row.previous_secret, row.previous_until = row.secret, now + SECRET_OVERLAP
        row.secret, row.hint = self._sealer.seal(secret, row.id), secret_hint(secret)
        row.rotated_at = now
        await session.flush()
        await record(session, by, AuditAction.ROTATE_WEBHOOK_SECRET, row.id, row.tenant_id)
        return to_endpoint(row), secret


def to_endpoint(row: WebhookEndpointRow) -> WebhookEndpoint:
    return WebhookEndpoint(
        id=row.id,
        tenant_id=row.tenant_id,
        url=row.url,
        description=row.description,
        event_types=tuple(row.event_types),
        secret_hint=row.hint,
        secret_created_at=row.rotated_at,
        previous_until=row.previous_until,
        is_enabled=row.is_enabled,
        disabled_reason=DisabledReason(row.disabled_reason) if row.disabled_reason is not None else None,
        failing_since=row.failing_since,
        created_at=row.created_at,
    )


def _open_of(tenant_id: str) -> tuple[Any, ...]:
    return (col(WebhookEndpointRow.tenant_id) == tenant_id, col(WebhookEndpointRow.deleted_at).is_(None))


def _listed_of(tenant_id: str, endpoint_id: str) -> tuple[Any, ...]:
    return (
        col(WebhookEndpointRow.id) == endpoint_id,
        *_open_of(tenant_id),
        col(WebhookEndpointRow.url).is_not(None),
    )


def _select_job_endpoint(tenant_id: str) -> Any:
    return select(WebhookEndpointRow).where(*_open_of(tenant_id), col(WebhookEndpointRow.url).is_(None))


def _found(row: WebhookEndpointRow | None) -> WebhookEndpoint:
    if row is None:
        raise WebhookEndpointNotFound
    return to_endpoint(row)
