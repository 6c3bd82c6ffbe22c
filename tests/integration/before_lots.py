"""A database as the version before lots left it, and calls as that version made them.

Its ledger is in ledger_of_0014.sql: what a migration of that time installed is not in today's.
"""

import asyncio
from pathlib import Path

import asyncpg
from alembic import command

from admin.bootstrap import alembic_config
from devstack.servers.running import Servers
from tests.integration.conftest import new_database
from tests.support.time_limits import scaled

LEDGER = (Path(__file__).parent / "ledger_of_0014.sql").read_text()
_GENERATION = """
INSERT INTO generations (
    id, tenant_id, fingerprint, model, provider, endpoint, prompt, parameters, metadata, n, price_credits,
    status, stage, api_key_id
) VALUES ($1, $2, '', 'm', 'fal', 'e', 'p', '{}', '{}', $3, $4, 'created', 'created', $5)
"""
_IMAGE = """
INSERT INTO images (generation_id, index, key, width, height, content_type, size_bytes, sha256, source_sha256)
SELECT $1, number, $1 || number, 1, 1, 'image/png', 1, repeat('a', 64), repeat('a', 64)
FROM generate_series(1, $2::bigint) AS number
"""
_MOVE = "SELECT move_credits($1, $2, $3, NULL, $4, $5, $6)"
_KINDS = frozenset({"issued", "available", "held", "spent"})
_CONNECT_SECONDS = 10


async def alembic(action: str, url: str, revision: str) -> None:
    # Alembic's environment runs an event loop, which cannot be inside this one.
    await asyncio.to_thread(getattr(command, action), alembic_config(url), revision)


async def connect(url: str) -> asyncpg.Connection:
    return await asyncpg.connect(url, timeout=scaled(_CONNECT_SECONDS))


class OldVersion:
    """What the version before does on one connection."""

    def __init__(self, connection: asyncpg.Connection) -> None:
        self.connection = connection

    async def tenant(self, tenant_id: str) -> str:
        await self.connection.execute("INSERT INTO tenants (id, name) VALUES ($1, $1)", tenant_id)
        await self.connection.execute(
            "INSERT INTO accounts (id, tenant_id, kind)"
            " SELECT $1 || ':' || kind, $1, kind FROM unnest($2::text[]) AS kind",
            *(tenant_id, ["issued", "available", "held", "spent"]),
        )
        return tenant_id

    async def grant(self, tenant_id: str, credits: int, reference: str) -> None:
        await self._issue("grant", tenant_id, credits, reference, credits)

    async def withdraw(self, tenant_id: str, credits: int, reference: str) -> None:
        await self._issue("withdraw", tenant_id, credits, reference, -credits)

    async def _issue(self, kind: str, tenant_id: str, credits: int, reference: str, change: int) -> None:
        await self.balance(tenant_id)
        await self.connection.execute(
            _MOVE,
            *(f"{kind}:{tenant_id}:{reference}", tenant_id, kind, credits),
            *(["available", "issued"], [change, -change]),
        )

    async def job(
        self, tenant_id: str, name: str, price: int, *, n: int = 1, key: str | None = None, images: int = 0
    ) -> str:
        """Hold the price of a generation, and record images of it."""
        generation_id = f"{tenant_id}_{name}"
        await self.connection.execute(_GENERATION, generation_id, tenant_id, n, price, key)
        await self.reserve(generation_id)
        await self.connection.execute(_IMAGE, generation_id, images)
        return generation_id

    async def reserve(self, generation_id: str) -> None:
        state = await self.connection.fetchval("SELECT state FROM reserve_credits($1)", generation_id)
        assert state == "held"

    async def settle(self, generation_id: str) -> None:
        status = await self.connection.fetchval("SELECT status FROM settle_credits($1)", generation_id)
        assert status == "completed"

    async def refund(self, generation_id: str) -> None:
        status = await self.connection.fetchval(
            "SELECT status FROM refund_credits($1, 'canceled', NULL, NULL, NULL, false)", generation_id
        )
        assert status == "canceled"

    async def balance(self, tenant_id: str) -> tuple[int, int, int]:
        """Read the balance, as requests, grants and withdrawals do. It knows no other kinds of accounts."""
        rows = await self.connection.fetch(
            "SELECT kind, balance_credits FROM accounts WHERE tenant_id = $1 FOR UPDATE", tenant_id
        )
        balances = {row["kind"]: int(row["balance_credits"]) for row in rows}
        assert balances.keys() == _KINDS
        return balances["available"], balances["held"], balances["spent"]

    async def store(self, generation_id: str, images: int) -> None:
        await self.connection.execute(_IMAGE, generation_id, images)


async def database_before_lots(servers: Servers) -> str:
    """Return the URL of a new database at revision 0014, with the functions of that time."""
    url = await new_database(servers.postgres.url)
    await alembic("upgrade", url, "0014")
    connection = await connect(url)
    try:
        await connection.execute(LEDGER)
    finally:
        await connection.close()
    return url
