"""Tenants and their API keys, as operators manage them and requests are authenticated by them."""

import hmac
import re
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from sqlalchemy import Select, bindparam, func, or_, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from adapters.database.audit import record
from adapters.database.engine import Database
from adapters.database.ids import new_id
from adapters.database.key_secrets import digest, new_key_secret
from adapters.database.ledger import account_id
from adapters.database.tables import AccountRow, ApiKeyRow, TenantRow
from adapters.database.tables.columns import NO_KEY_UPDATE
from domain.audit import SYSTEM, Actor, AuditAction
from domain.auth import Caller, Scope
from domain.credits import AccountKind
from domain.errors import ApiKeyNotFound, InvalidInput, TenantNotFound, TenantSuspended, Unauthenticated
from domain.keys import MAX_KEY_NAME_CHARACTERS, NewKey

_TENANT_ID = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,63}")
# The one for what is owed is made when something is.
_ACCOUNTS = tuple(kind for kind in AccountKind if kind is not AccountKind.OWED)
# How often the use of a key is noted.
_USED_EVERY = timedelta(minutes=1)
# Built once, because every request asks it.
_KEY: Select[*tuple[Any, ...]] = (
    select(
        col(ApiKeyRow.tenant_id),
        col(ApiKeyRow.secret_sha256),
        col(ApiKeyRow.scopes),
        col(ApiKeyRow.limits),
        col(ApiKeyRow.monthly_budget_credits),
        col(ApiKeyRow.max_held_credits),
        col(ApiKeyRow.revoked_at),
        col(TenantRow.limits).label("tenant_limits"),
        col(TenantRow.suspended_at),
        func.coalesce(col(ApiKeyRow.expires_at) <= func.now(), False).label("is_expired"),
        func.coalesce(col(ApiKeyRow.last_used_at) < func.now() - _USED_EVERY, True).label("is_use_due"),
    )
    .join(TenantRow, col(TenantRow.id) == col(ApiKeyRow.tenant_id))
    .where(col(ApiKeyRow.id) == bindparam("id"))
)
_SUSPENDED_AT = select(col(TenantRow.suspended_at)).where(col(TenantRow.id) == bindparam("id"))
_NOTE_USE = (
    update(ApiKeyRow)
    .where(
        col(ApiKeyRow.id) == bindparam("key"),
        or_(col(ApiKeyRow.last_used_at).is_(None), col(ApiKeyRow.last_used_at) < func.now() - _USED_EVERY),
    )
    .values(last_used_at=func.now())
)


class PostgresTenants:
    """Creates tenants and keys, and authenticates keys. Every change is in the audit trail."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def create(self, name: str, tenant_id: str | None = None, *, by: Actor = SYSTEM) -> str:
        """Create a tenant with its four accounts, once per id; return the id.

        Raises ValueError for an id that could not be part of an object's key or of an address.
        """
        tenant_id = tenant_id or new_id("ten")
        if _TENANT_ID.fullmatch(tenant_id) is None:
            raise ValueError("a tenant's id has 1 to 64 letters, digits, _ and -, and begins with a letter")
        accounts = [
            {"id": account_id(tenant_id, kind), "tenant_id": tenant_id, "kind": kind} for kind in _ACCOUNTS
        ]
        made = (
            insert(TenantRow)
            .values(id=tenant_id, name=name)
            .on_conflict_do_nothing()
            .returning(col(TenantRow.id))
        )
        async with self._database.begin() as session:
            if await session.scalar(made) is not None:
                await record(session, by, AuditAction.CREATE_TENANT, tenant_id, tenant_id)
            await session.execute(insert(AccountRow).values(accounts).on_conflict_do_nothing())
        return tenant_id

    async def create_key(
        self,
        tenant_id: str,
        scopes: Sequence[Scope],
        *,
        name: str = "",
        lifetime: timedelta | None = None,
        limits: Mapping[str, float] | None = None,
        monthly_budget_credits: int | None = None,
        max_held_credits: int | None = None,
        by: Actor = SYSTEM,
    ) -> NewKey:
        """Create a key; without a `lifetime` it does not expire. Raises TenantNotFound, InvalidInput."""
        if len(name) > MAX_KEY_NAME_CHARACTERS:
            raise InvalidInput(errors=(("name", f"at most {MAX_KEY_NAME_CHARACTERS} characters"),))
        if lifetime is not None and lifetime <= timedelta(0):
            raise InvalidInput(errors=(("lifetime", "more than 0"),))
        secret = new_key_secret()
        async with self._database.begin() as session:
            await _locked(session, tenant_id)
            now = await session.scalar(select(func.now()))
            assert now is not None
            expires_at = None if lifetime is None else now + lifetime
            session.add(
                ApiKeyRow(
                    id=secret.key_id,
                    tenant_id=tenant_id,
                    secret_sha256=secret.sha256,
                    scopes=list(scopes),
                    name=name,
                    limits=dict(limits or {}),
                    expires_at=expires_at,
                    monthly_budget_credits=monthly_budget_credits,
                    max_held_credits=max_held_credits,
                )
            )
            shown = {"scopes": list(scopes), "expires_at": expires_at.isoformat() if expires_at else None}
            caps = {"monthly_budget_credits": monthly_budget_credits, "max_held_credits": max_held_credits}
            await record(session, by, AuditAction.CREATE_KEY, secret.key_id, tenant_id, **shown, **caps)
        return NewKey(secret.key_id, secret.api_key)

    async def revoke_key(self, key_id: str, *, by: Actor = SYSTEM) -> bool:
        """Revoke a key from the next request on; False for an unknown or revoked key."""
        async with self._database.begin() as session:
            tenant_id = await session.scalar(
                update(ApiKeyRow)
                .where(col(ApiKeyRow.id) == key_id, col(ApiKeyRow.revoked_at).is_(None))
                .values(revoked_at=func.now())
                .returning(col(ApiKeyRow.tenant_id))
            )
            if tenant_id is not None:
                await record(session, by, AuditAction.REVOKE_KEY, key_id, tenant_id)
        return tenant_id is not None

    async def set_budget(
        self, key_id: str, changes: Mapping[str, int | None], *, by: Actor
    ) -> Mapping[str, int | None]:
        """Change the caps of a key, by the names of its columns; None for none. Raises ApiKeyNotFound."""
        async with self._database.begin() as session:
            row: ApiKeyRow | None = await session.get(ApiKeyRow, key_id, with_for_update=NO_KEY_UPDATE)
            if row is None:
                raise ApiKeyNotFound
            row.monthly_budget_credits = changes.get("monthly_budget_credits", row.monthly_budget_credits)
            row.max_held_credits = changes.get("max_held_credits", row.max_held_credits)
            held = row.max_held_credits
            caps = {"monthly_budget_credits": row.monthly_budget_credits, "max_held_credits": held}
            await record(session, by, AuditAction.SET_BUDGET, key_id, row.tenant_id, **caps)
        return caps

    async def suspend(self, tenant_id: str, *, by: Actor) -> bool:
        """Refuse all of the tenant's keys from the next request on; False if it was suspended already."""
        return await self._set_suspended(tenant_id, by, is_suspended=True)

    async def resume(self, tenant_id: str, *, by: Actor) -> bool:
        """Admit the tenant's keys again; False if it was not suspended. Raises TenantNotFound."""
        return await self._set_suspended(tenant_id, by, is_suspended=False)

    async def set_limits(
        self, tenant_id: str, changes: Mapping[str, float | None], *, by: Actor
    ) -> Mapping[str, float]:
        """Change what differs from the settings, None for no difference; return all that does."""
        async with self._database.begin() as session:
            row = await _locked(session, tenant_id)
            row.limits = _changed(row.limits, changes)
            await record(session, by, AuditAction.SET_LIMITS, tenant_id, tenant_id, changes=dict(changes))
            return row.limits

    async def authenticate(self, api_key: str) -> Caller:
        prefix, _, rest = api_key.partition("_")
        key_id, _, secret = rest.partition("_")
        if prefix != "dk" or not (key_id.isascii() and key_id.isalnum() and len(key_id) == 2 * 8):
            raise Unauthenticated
        found = await self._database.call(_KEY, {"id": key_id})
        key = found[0] if found else None
        # An unknown key costs the same comparison as a known one.
        expected = key.secret_sha256 if key is not None else digest("")
        matches = hmac.compare_digest(expected, digest(secret))
        if key is None or key.revoked_at is not None or key.is_expired or not matches:
            raise Unauthenticated
        if key.suspended_at is not None:
            raise TenantSuspended
        if key.is_use_due:
            await self._database.call(_NOTE_USE, {"key": key_id})
        return Caller(
            key.tenant_id,
            key_id,
            frozenset(key.scopes),
            key.tenant_limits,
            key.limits,
            key.monthly_budget_credits,
            key.max_held_credits,
        )

    async def require_active(self, tenant_id: str) -> None:
        found = await self._database.call(_SUSPENDED_AT, {"id": tenant_id})
        if found and found[0].suspended_at is not None:
            raise TenantSuspended

    async def _set_suspended(self, tenant_id: str, by: Actor, *, is_suspended: bool) -> bool:
        async with self._database.begin() as session:
            row = await _locked(session, tenant_id)
            if (row.suspended_at is not None) is is_suspended:
                return False
            if row.erasure_requested_at is not None:
                raise InvalidInput(errors=(("tenant_id", "a tenant that is erased stays suspended"),))
            row.suspended_at = await session.scalar(select(func.now())) if is_suspended else None
            action = AuditAction.SUSPEND_TENANT if is_suspended else AuditAction.RESUME_TENANT
            await record(session, by, action, tenant_id, tenant_id)
            return True


async def _locked(session: AsyncSession, tenant_id: str) -> TenantRow:
    row: TenantRow | None = await session.get(TenantRow, tenant_id, with_for_update=NO_KEY_UPDATE)
    if row is None:
        raise TenantNotFound
    return row


def _changed(known: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in {**known, **changes}.items() if value is not None}
