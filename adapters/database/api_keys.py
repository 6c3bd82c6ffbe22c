"""API keys as their clients may know them."""

from sqlalchemy import bindparam, select
from sqlmodel import col

from adapters.database.engine import Database
from adapters.database.tables import ApiKeyRow
from domain.errors import Unauthenticated
from domain.session import KeyFacts

_FACTS = select(col(ApiKeyRow.name), col(ApiKeyRow.created_at), col(ApiKeyRow.expires_at)).where(
    col(ApiKeyRow.id) == bindparam("id")
)


class PostgresApiKeys:
    """Reads what may be shown of a key."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def read_key(self, key_id: str) -> KeyFacts:
        rows = await self._database.call(_FACTS, {"id": key_id})
        if not rows:
            raise Unauthenticated
        return KeyFacts(rows[0].name, rows[0].created_at, rows[0].expires_at)
