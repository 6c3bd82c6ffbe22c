"""Tenants and their API keys."""

import hashlib
import hmac
import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import bindparam, func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlmodel import col

from adapters.database.engine import Database
from adapters.database.ids import new_id
from adapters.database.ledger import account_id
from adapters.database.tables import AccountRow, ApiKeyRow, TenantRow
from domain.auth import Caller, Scope
from domain.credits import AccountKind
from domain.errors import TenantNotFound, Unauthenticated

_KEY_BYTES = 32
_TENANT_ID = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,63}")
# Built once, because every request asks it.
_KEY = select(ApiKeyRow).where(col(ApiKeyRow.id) == bindparam("id"))


@dataclass(frozen=True)
class NewKey:
    """A key at the only moment its secret is known."""

    key_id: str
    api_key: str


class PostgresTenants:
    """Creates tenants and keys, and authenticates keys."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def create(self, name: str, tenant_id: str | None = None) -> str:
        """Create a tenant with its four accounts, once per id; return the id.

        Raises ValueError for an id that could not be part of an object's key or of an address.
        """
        tenant_id = tenant_id or new_id("ten")
        if _TENANT_ID.fullmatch(tenant_id) is None:
            raise ValueError("a tenant's id has 1 to 64 letters, digits, _ and -, and begins with a letter")
        accounts = [
            {"id": account_id(tenant_id, kind), "tenant_id": tenant_id, "kind": kind} for kind in AccountKind
        ]
        async with self._database.begin() as session:
            await session.execute(insert(TenantRow).values(id=tenant_id, name=name).on_conflict_do_nothing())
            await session.execute(insert(AccountRow).values(accounts).on_conflict_do_nothing())
        return tenant_id

    async def create_key(self, tenant_id: str, scopes: Sequence[Scope]) -> NewKey:
        """Raises TenantNotFound."""
        key_id, secret = secrets.token_hex(8), secrets.token_urlsafe(_KEY_BYTES)
        async with self._database.begin() as session:
            if await session.get(TenantRow, tenant_id) is None:
                raise TenantNotFound
            session.add(
                ApiKeyRow(id=key_id, tenant_id=tenant_id, secret_sha256=_digest(secret), scopes=list(scopes))
            )
        return NewKey(key_id, f"dk_{key_id}_{secret}")

    async def revoke_key(self, key_id: str) -> bool:
        """Revoke a key from the next request on; False for an unknown or revoked key."""
        async with self._database.begin() as session:
            revoked = await session.scalar(
                update(ApiKeyRow)
                .where(col(ApiKeyRow.id) == key_id, col(ApiKeyRow.revoked_at).is_(None))
                .values(revoked_at=func.now())
                .returning(col(ApiKeyRow.id))
            )
        return revoked is not None

    async def authenticate(self, api_key: str) -> Caller:
        prefix, _, rest = api_key.partition("_")
        key_id, _, secret = rest.partition("_")
        if prefix != "dk" or not (key_id.isascii() and key_id.isalnum() and len(key_id) == 2 * 8):
            raise Unauthenticated
        async with self._database.each() as session:
            row = await session.scalar(_KEY, {"id": key_id})
        # An unknown key costs the same comparison as a known one.
        expected = row.secret_sha256 if row is not None else _digest("")
        matches = hmac.compare_digest(expected, _digest(secret))
        if row is None or row.revoked_at is not None or not matches:
            raise Unauthenticated
        return Caller(row.tenant_id, row.id, frozenset(row.scopes))


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode(errors="replace")).hexdigest()
