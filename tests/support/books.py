"""Tenants, generations and their balances in the real database."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from sqlalchemy import text

from adapters.database.assets import PostgresAssets
from adapters.database.credits import PostgresCreditAccounts
from adapters.database.engine import Database
from adapters.database.generations import PostgresGenerations
from adapters.database.tenants import PostgresTenants
from domain.credits import Balance
from domain.generation import Generation, GenerationRequest, Image
from domain.listing import GenerationFilter, ListOrder, ListPosition
from domain.provider import AttemptRef
from tests.support.lot_checks import assert_lots_agree
from tests.support.requests import request

_ALL = GenerationFilter()
_INSERT_IMAGE = """
INSERT INTO images (generation_id, index, key, width, height, content_type, size_bytes, sha256, source_sha256)
VALUES (:generation_id, :index, :key, :width, :height, :content_type, :size_bytes, :sha256, :source_sha256)
"""


class PostgresBooks:
    """Creates rows through the adapters, and reads them with its own SQL."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.generations = PostgresGenerations(database)

    async def tenant(self, credits: int = 0) -> str:
        """Create a tenant with these credits; return its id."""
        tenant_id = await PostgresTenants(self.database).create("a tenant")
        if credits:
            await PostgresCreditAccounts(self.database).grant(tenant_id, credits, "first")
        return tenant_id

    async def add(self, tenant_id: str, wanted: GenerationRequest | None = None) -> str:
        """Create a generation of the tenant; return its id."""
        generation, _ = await self.generations.create(tenant_id, wanted or request(), None, "fingerprint")
        return generation.id

    async def read(self, generation_id: str) -> Generation:
        return await self.generations.get_generation(generation_id)

    async def listed(
        self,
        tenant_id: str,
        wanted: GenerationFilter = _ALL,
        order: ListOrder = ListOrder.NEWEST,
        *,
        limit: int = 100,
    ) -> list[Generation]:
        """Return the whole list, page by page."""
        found: list[Generation] = []
        after: ListPosition | None = None
        while True:
            page = await self.generations.list_generations(tenant_id, wanted, order, after=after, limit=limit)
            assert len(page.generations) <= limit
            found += page.generations
            after = page.next
            if after is None:
                return found

    async def cancel(self, generation_id: str) -> None:
        generation = await self.read(generation_id)
        await self.generations.record_cancel_request(generation.tenant_id, generation_id)

    async def store(self, generation_id: str, count: int = 1) -> None:
        """Record images without charging for them, as a version in which these were two steps did."""
        await PostgresAssets(self.database).begin_storing(AttemptRef(generation_id), None)
        for image in images(generation_id, count):
            await self.sql(_INSERT_IMAGE, generation_id=generation_id, **asdict(image))
        await self.sql("UPDATE generations SET stage = 'settling' WHERE id = :id", id=generation_id)

    async def balance(self, tenant_id: str) -> Balance:
        return await PostgresCreditAccounts(self.database).balance(tenant_id)

    async def sql(self, statement: str, **parameters: Any) -> Sequence[Any]:
        """Run a statement in its own transaction; return its rows."""
        async with self.database.begin() as session:
            result = await session.execute(text(statement), parameters)
            return result.all() if result.returns_rows else ()  # type: ignore[attr-defined]  # a CursorResult

    async def age_grants(self, provider: str) -> None:
        """Make it as if all slots had been granted a minute ago."""
        await self.sql(
            "UPDATE provider_slots SET granted_at = granted_at - interval '1 minute'"
            " WHERE provider = :provider AND granted_at IS NOT NULL",
            provider=provider,
        )

    async def clear_slots(self) -> None:
        """Release every slot and open every provider, for the next test."""
        await self.sql("DELETE FROM provider_slots")
        await self.sql("DELETE FROM provider_closures")

    async def assert_consistent(self, tenant_id: str) -> None:
        """Check what always holds for every tenant's ledger."""
        unbalanced = await self.sql(
            "SELECT e.transfer_id FROM entries e JOIN transfers t ON t.id = e.transfer_id"
            " WHERE t.tenant_id = :tenant GROUP BY e.transfer_id HAVING sum(e.amount_credits) <> 0",
            tenant=tenant_id,
        )
        assert unbalanced == []
        drifted = await self.sql(
            "SELECT a.id FROM accounts a LEFT JOIN entries e ON e.account_id = a.id"
            " WHERE a.tenant_id = :tenant GROUP BY a.id"
            " HAVING a.balance_credits <> coalesce(sum(e.amount_credits), 0)",
            tenant=tenant_id,
        )
        assert drifted == []
        unresolved = await self.sql(
            "SELECT coalesce(sum(h.amount_credits), 0) FROM transfers h WHERE h.tenant_id = :tenant"
            " AND h.kind = 'hold' AND NOT EXISTS"
            " (SELECT 1 FROM transfers r WHERE r.hold_id = h.id AND r.kind <> 'hold')",
            tenant=tenant_id,
        )
        assert unresolved == [((await self.balance(tenant_id)).held,)]
        await assert_lots_agree(self.sql, tenant_id)

    async def transfers(self, generation_id: str) -> list[tuple[str, int]]:
        """Return kind and amount of each of a generation's transfers, the hold first."""
        rows = await self.sql(
            "SELECT kind, amount_credits FROM transfers WHERE generation_id = :id"
            " ORDER BY kind <> 'hold', id",
            id=generation_id,
        )
        return [(kind, amount) for kind, amount in rows]


def images(generation_id: str, count: int = 1) -> list[Image]:
    return [
        Image(index, f"{generation_id}/{index}.png", 512, 512, "image/png", 1000 + index, "ab" * 32)
        for index in range(count)
    ]
