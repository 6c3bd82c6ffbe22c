"""Keys of operators' own systems: made, listed, revoked and authenticated. Changes are audited."""

import hashlib
import hmac
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Select, bindparam, func, or_, select, text, update
from sqlmodel import col

from adapters.database.audit import record
from adapters.database.engine import Database
from adapters.database.tables import OperatorKeyRow
from domain.audit import Actor, AuditAction
from domain.errors import InvalidInput, Unauthenticated
from domain.operators import OPERATOR_KEY_PREFIX, Operator, OperatorScope

_ID_BYTES, _SECRET_BYTES = 8, 32
_MAX_NAME_CHARACTERS = 200
_MAX_LINES = 1000
# How often the use of a key is noted.
_USED_EVERY = timedelta(minutes=1)
# Built once, because every request asks it. Only the database's clock says what is expired.
_KEY: Select[*tuple[Any, ...]] = select(
    col(OperatorKeyRow.secret_sha256),
    col(OperatorKeyRow.scopes),
    col(OperatorKeyRow.revoked_at),
    func.coalesce(col(OperatorKeyRow.expires_at) <= func.now(), False).label("is_expired"),
    func.coalesce(col(OperatorKeyRow.last_used_at) < func.now() - _USED_EVERY, True).label("is_use_due"),
).where(col(OperatorKeyRow.id) == bindparam("id"))
_NOTE_USE = (
    update(OperatorKeyRow)
    .where(
        col(OperatorKeyRow.id) == bindparam("key"),
        or_(
            col(OperatorKeyRow.last_used_at).is_(None),
            col(OperatorKeyRow.last_used_at) < func.now() - _USED_EVERY,
        ),
    )
    .values(last_used_at=func.now())
)
_LINES = text("""
SELECT id AS key_id, name, scopes, created_at, last_used_at, expires_at, revoked_at,
    revoked_at IS NULL AND coalesce(expires_at > now(), true) AS is_valid
FROM operator_keys ORDER BY created_at, id LIMIT :limit
""")


@dataclass(frozen=True)
class NewOperatorKey:
    """A key at the only moment its secret is known."""

    key_id: str
    operator_key: str


@dataclass(frozen=True)
class OperatorKeyLine:
    """A key as operators list it, without its secret; when it was used last is right to a minute."""

    key_id: str
    name: str
    scopes: list[str]
    created_at: datetime
    last_used_at: datetime | None
    expires_at: datetime | None
    revoked_at: datetime | None
    is_valid: bool


class PostgresOperatorKeys:
    """Manages operators' keys, and authenticates them. A key of a tenant is never looked up here."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def create(
        self, name: str, scopes: Sequence[OperatorScope], *, lifetime: timedelta | None = None, by: Actor
    ) -> NewOperatorKey:
        """Create a key; without a `lifetime` it does not expire. Raises InvalidInput."""
        if not 1 <= len(name) <= _MAX_NAME_CHARACTERS:
            raise InvalidInput(errors=(("name", f"1 to {_MAX_NAME_CHARACTERS} characters"),))
        if not scopes:
            raise InvalidInput(errors=(("scopes", f"one or more of {', '.join(OperatorScope)}"),))
        if lifetime is not None and lifetime <= timedelta(0):
            raise InvalidInput(errors=(("lifetime", "more than 0"),))
        key_id, secret = secrets.token_hex(_ID_BYTES), secrets.token_urlsafe(_SECRET_BYTES)
        async with self._database.begin() as session:
            now = await session.scalar(select(func.now()))
            assert now is not None
            expires_at = None if lifetime is None else now + lifetime
            session.add(
                OperatorKeyRow(
                    id=key_id,
                    secret_sha256=_digest(secret),
                    scopes=list(dict.fromkeys(scopes)),
                    name=name,
                    expires_at=expires_at,
                )
            )
            shown = expires_at.isoformat() if expires_at else None
            await record(
                session, by, AuditAction.CREATE_OPERATOR_KEY, key_id, scopes=list(scopes), expires_at=shown
            )
        return NewOperatorKey(key_id, f"{OPERATOR_KEY_PREFIX}{key_id}_{secret}")

    async def revoke(self, key_id: str, *, by: Actor) -> bool:
        """Revoke a key from the next request on; False for an unknown or revoked key."""
        revoke = (
            update(OperatorKeyRow)
            .where(col(OperatorKeyRow.id) == key_id, col(OperatorKeyRow.revoked_at).is_(None))
            .values(revoked_at=func.now())
            .returning(col(OperatorKeyRow.id))
        )
        async with self._database.begin() as session:
            found = await session.scalar(revoke)
            if found is not None:
                await record(session, by, AuditAction.REVOKE_OPERATOR_KEY, key_id)
        return found is not None

    async def lines(self) -> list[OperatorKeyLine]:
        """Return the keys, the oldest first, also those that are revoked; at most 1000."""
        async with self._database.begin() as session:
            found = await session.execute(_LINES, {"limit": _MAX_LINES})
            return [OperatorKeyLine(**row) for row in found.mappings()]

    async def authenticate(self, api_key: str) -> Operator:
        """Return whose key it is. Raises Unauthenticated, and asks nothing where it is no such key."""
        key_id, _, secret = api_key.removeprefix(OPERATOR_KEY_PREFIX).partition("_")
        is_one = api_key.startswith(OPERATOR_KEY_PREFIX) and len(key_id) == 2 * _ID_BYTES
        if not (is_one and key_id.isascii() and key_id.isalnum()):
            raise Unauthenticated
        found = await self._database.call(_KEY, {"id": key_id})
        key = found[0] if found else None
        # An unknown key costs the same comparison as a known one.
        expected = key.secret_sha256 if key is not None else _digest("")
        matches = hmac.compare_digest(expected, _digest(secret))
        if key is None or key.revoked_at is not None or key.is_expired or not matches:
            raise Unauthenticated
        if key.is_use_due:
            await self._database.call(_NOTE_USE, {"key": key_id})
        return Operator(key_id, frozenset(key.scopes))


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode(errors="replace")).hexdigest()
