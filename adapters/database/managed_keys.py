"""API keys as keys make, change and revoke them.

Every act locks the tenant's row, then the rows of the keys in the order of their ids, and decides by what
they hold then: a caller whose own key is revoked or narrowed meanwhile acts by that, or not at all.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from adapters.database.audit import record
from adapters.database.engine import Database
from adapters.database.key_lists import PostgresKeyLists, scopes_of
from adapters.database.key_secrets import new_key_secret
from adapters.database.tables import ApiKeyRow, TenantRow
from adapters.database.tables.columns import NO_KEY_UPDATE
from domain.audit import Actor, AuditAction
from domain.auth import Caller, Scope, scopes_beyond
from domain.errors import (
    ApiKeyEnded,
    ApiKeyNotFound,
    InvalidInput,
    KeyExceedsOwn,
    ScopeMissing,
    TenantSuspended,
    TooManyApiKeys,
    Unauthenticated,
)
from domain.key_budgets import KeySpending
from domain.keys import KeyPowers, ManagedKey, NewKey


@dataclass(frozen=True)
class _Locked:
    """The caller's key and the others, under their locks. now: the database's clock, once it had them."""

    now: datetime
    own: KeyPowers
    rows: Mapping[str, ApiKeyRow]

    def target(self, key_id: str) -> ApiKeyRow:
        if key_id not in self.rows:
            raise ApiKeyNotFound
        return self.rows[key_id]

    def is_over(self, row: ApiKeyRow) -> bool:
        return row.revoked_at is not None or (row.expires_at is not None and row.expires_at <= self.now)

    def require_within(self, powers: KeyPowers) -> None:
        if found := powers.beyond(self.own):
            raise KeyExceedsOwn(errors=found)

    def require_future(self, given: Mapping[str, Any]) -> None:
        if (expires_at := given.get("expires_at")) is not None and expires_at <= self.now:
            raise InvalidInput(errors=(("expires_at", f"later than now, {self.now.isoformat()}"),))


class PostgresManagedKeys(PostgresKeyLists):
    """The keys of tenants. Every change is in the audit trail."""

    def __init__(self, database: Database) -> None:
        super().__init__(database)
        self._keys = database

    async def add_key(
        self, caller: Caller, name: str, given: Mapping[str, Any], *, max_keys: int
    ) -> tuple[ManagedKey, NewKey]:
        secret = new_key_secret()
        async with self._keys.begin() as session:
            locked = await _locked(session, caller)
            locked.require_future(given)
            powers = locked.own.changed(given)
            locked.require_within(powers)
            if await _count_valid(session, caller.tenant_id, locked.now) >= max_keys:
                raise TooManyApiKeys(f"at most {max_keys} API keys that are neither revoked nor expired")
            row = ApiKeyRow(
                id=secret.key_id,
                tenant_id=caller.tenant_id,
                secret_sha256=secret.sha256,
                name=name,
                scopes=[],
                created_by=caller.key_id,
                # Not when the transaction began: lists are read while it waits for its locks.
                created_at=locked.now,
            )
            _set(row, powers)
            session.add(row)
            await _record(session, caller, AuditAction.CREATE_KEY, row.id, _told(powers))
        # Not read again: once it is committed, nothing may keep its secret from its client.
        spending = KeySpending(locked.now.astimezone(UTC).date().replace(day=1), 0, 0, 0)
        made = ManagedKey(row.id, name, powers, spending, locked.now, caller.key_id, None, None)
        return made, NewKey(secret.key_id, secret.api_key)

    async def change_key(self, caller: Caller, key_id: str, given: Mapping[str, Any]) -> ManagedKey:
        async with self._keys.begin() as session:
            locked = await _locked(session, caller, key_id)
            row = locked.target(key_id)
            if locked.is_over(row):
                raise ApiKeyEnded
            before = _powers(row)
            locked.require_within(before)
            locked.require_future(given)
            after = before.changed(given)
            if scopes_beyond(before.scopes, after.scopes):
                raise InvalidInput(errors=(("scopes", "an edit only takes scopes away; make another key"),))
            locked.require_within(after)
            _set(row, after)
            row.name = given.get("name", row.name)
            told = {name: value for name, value in _told(after).items() if name in given}
            await _record(session, caller, AuditAction.CHANGE_KEY, row.id, {"fields": sorted(given), **told})
        return await self.get_key(caller.tenant_id, key_id)

    async def revoke_own_key(self, caller: Caller, key_id: str) -> None:
        async with self._keys.begin() as session:
            locked = await _locked(session, caller, key_id)
            row = locked.target(key_id)
            if row.revoked_at is None:
                row.revoked_at = locked.now
                await _record(session, caller, AuditAction.REVOKE_KEY, row.id, {})


async def _locked(session: AsyncSession, caller: Caller, key_id: str | None = None) -> _Locked:
    """Lock the rows. Raises Unauthenticated, TenantSuspended, ScopeMissing by what the caller's is now."""
    tenant = await session.get(TenantRow, caller.tenant_id, with_for_update=NO_KEY_UPDATE)
    ids = [caller.key_id] if key_id is None else [caller.key_id, key_id]
    query = (
        select(ApiKeyRow)
        .where(col(ApiKeyRow.id).in_(ids), col(ApiKeyRow.tenant_id) == caller.tenant_id)
        .order_by(col(ApiKeyRow.id))
        .with_for_update(key_share=True)
    )
    rows = {row.id: row for row in await session.scalars(query)}
    now = await session.scalar(select(func.clock_timestamp()))
    own = rows.get(caller.key_id)
    if tenant is None or own is None or now is None:
        raise Unauthenticated
    locked = _Locked(now, _powers(own), rows)
    if locked.is_over(own):
        raise Unauthenticated
    if tenant.suspended_at is not None:
        raise TenantSuspended
    if Scope.WRITE_KEYS not in own.scopes:
        raise ScopeMissing(f"this API key does not have the scope {Scope.WRITE_KEYS}")
    return locked


async def _count_valid(session: AsyncSession, tenant_id: str, now: datetime) -> int:
    expires_at = col(ApiKeyRow.expires_at)
    query = select(func.count()).where(
        col(ApiKeyRow.tenant_id) == tenant_id,
        col(ApiKeyRow.revoked_at).is_(None),
        or_(expires_at.is_(None), expires_at > now),
    )
    return int(await session.scalar(query) or 0)


async def _record(
    session: AsyncSession, caller: Caller, action: AuditAction, key_id: str, details: Mapping[str, Any]
) -> None:
    await record(session, Actor(f"key:{caller.key_id}"), action, key_id, caller.tenant_id, **details)


def _powers(row: ApiKeyRow) -> KeyPowers:
    return KeyPowers(
        scopes_of(row.scopes), row.expires_at, row.limits, row.monthly_budget_credits, row.max_held_credits
    )


def _set(row: ApiKeyRow, powers: KeyPowers) -> None:
    row.scopes = [scope for scope in Scope if scope in powers.scopes]
    row.expires_at, row.limits = powers.expires_at, dict(powers.limits)
    row.monthly_budget_credits, row.max_held_credits = powers.monthly_budget_credits, powers.max_held_credits


def _told(powers: KeyPowers) -> dict[str, Any]:
    """Return what the audit trail says of a key: not its name, which may be about a person."""
    return {
        "scopes": [scope for scope in Scope if scope in powers.scopes],
        "expires_at": powers.expires_at.isoformat() if powers.expires_at is not None else None,
        "limits": dict(powers.limits),
        "monthly_budget_credits": powers.monthly_budget_credits,
        "max_held_credits": powers.max_held_credits,
    }
