"""One tenant's lots in the real database, and the time of the database's clock as they see it."""

from dataclasses import dataclass
from datetime import timedelta

from adapters.database.ledger import PostgresLedger
from adapters.database.lots import PostgresLots
from domain.audit import SYSTEM
from domain.credits import HoldState
from domain.lots import Grant, Lot, LotCategory
from tests.support.books import PostgresBooks
from tests.support.requests import new_id, request

HOUR = timedelta(hours=1)
_MAX_SWEEPS = 50
_SHIFT = """
UPDATE lots SET created_at = created_at - CAST(:time AS interval),
    effective_at = effective_at - CAST(:time AS interval), expires_at = expires_at - CAST(:time AS interval)
WHERE tenant_id = :tenant
"""


@dataclass
class TenantLots:
    """A tenant, what it is granted, and its jobs."""

    books: PostgresBooks
    tenant_id: str

    def __post_init__(self) -> None:
        self.lots = PostgresLots(self.books.database)
        self.ledger = PostgresLedger(self.books.database)

    async def grant(
        self,
        credits: int,
        *,
        expires_in: timedelta | None = None,
        effective_in: timedelta | None = None,
        category: LotCategory = LotCategory.PAID,
        payment: str | None = None,
    ) -> Lot:
        [[now]] = await self.books.sql("SELECT clock_timestamp()")
        granted = await self.lots.grant(
            Grant(
                self.tenant_id,
                credits,
                payment or new_id("grant"),
                category,
                effective_at=None if effective_in is None else now + effective_in,
                expires_at=None if expires_in is None else now + expires_in,
                is_payment=payment is not None,
            ),
            by=SYSTEM,
        )
        return granted.lot

    def payment(self, credits: int, reference: str) -> Grant:
        return Grant(self.tenant_id, credits, reference, is_payment=True)

    async def promotional(self, credits: int, *, expires_in: timedelta | None = HOUR) -> Lot:
        return await self.grant(credits, expires_in=expires_in, category=LotCategory.PROMOTIONAL)

    async def let_pass(self, time: timedelta) -> None:
        """Make it as if the database's clock had gone on, or back, by this time."""
        await self.books.sql(_SHIFT, tenant=self.tenant_id, time=time)

    async def job(self, price: int, n: int = 1) -> str:
        """Create a generation whose price is not held yet."""
        return await self.books.add(self.tenant_id, request(price_credits=price, n=n))

    async def held(self, price: int, n: int = 1) -> str:
        generation_id = await self.job(price, n)
        assert (await self.ledger.reserve(generation_id)).state is HoldState.HELD
        return generation_id

    async def read(self, lot: Lot) -> Lot:
        return await self.lots.get_lot(self.tenant_id, lot.id)

    async def sweep(self) -> None:
        await sweep(self.lots)


async def sweep(lots: PostgresLots) -> None:
    """Sweep until nothing is due: other tests' lots are in the same database."""
    for _ in range(_MAX_SWEEPS):
        if not await lots.expire_due(100):
            return
    raise AssertionError("the same lots are due again and again")


async def tenant_lots(books: PostgresBooks) -> TenantLots:
    return TenantLots(books, await books.tenant())
