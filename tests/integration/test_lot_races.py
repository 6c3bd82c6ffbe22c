"""Everything that changes lots, at once: no deadlock, nothing below zero, and the books agree."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import asdict

import pytest
from sqlalchemy import bindparam, text
from sqlalchemy.dialects.postgresql import JSONB

from adapters.database.credits import PostgresCreditAccounts
from adapters.database.engine import Database
from adapters.database.ledger import PostgresLedger
from adapters.database.tenants import PostgresTenants
from domain.audit import SYSTEM
from domain.credits import Balance
from domain.errors import DatabaseUnavailable, InsufficientCredits, TakeBackTooLarge
from domain.generation import Status, TerminalState
from domain.lots import Lot, LotCategory
from tests.support.books import PostgresBooks, images
from tests.support.requests import new_id
from tests.support.tenant_lots import HOUR, TenantLots, tenant_lots

CANCELED = TerminalState(Status.CANCELED)
ROUNDS = 4
DEADLOCK = "40P01"
_RESERVE = text("SELECT state FROM reserve_credits_of_all(:jobs)")
_FINISH = text("SELECT status FROM finish_storing_of_all(:finished)").bindparams(
    bindparam("finished", type_=JSONB)
)
Act = Callable[[], Awaitable[object]]


class Crowd:
    """Runs many acts at once, each again while a pool or a lock was busy. Deadlocks are not repeated."""

    def __init__(self) -> None:
        self._turns = asyncio.Semaphore(25)  # fewer than the pool has connections

    async def run(self, acts: list[Act]) -> list[object]:
        return await asyncio.gather(*(self._one(act) for act in acts))

    async def _one(self, act: Act) -> object:
        while True:
            async with self._turns:
                try:
                    return await act()
                except (InsufficientCredits, TakeBackTooLarge) as refused:
                    return refused
                except DatabaseUnavailable as error:
                    if state_of(error) == DEADLOCK:
                        raise


def state_of(error: BaseException | None) -> str | None:
    while error is not None:
        if state := getattr(error, "sqlstate", None):
            return str(state)
        error = getattr(error, "orig", None) or error.__cause__
    return None


class Busy:
    """A tenant to whom everything happens."""

    def __init__(self, tenant: TenantLots, dice: random.Random) -> None:
        self.tenant = tenant
        self.dice = dice
        self.jobs: list[str] = []
        self.granted: list[Lot] = []

    async def prepare(self) -> None:
        """Grant lots of every kind, and hold from them; the promotional ones then expire."""
        for _ in range(3):
            payment = new_id("pay")
            self.granted.append(await self.tenant.grant(12, payment=payment))
            self.granted.append(await self.tenant.promotional(8))
        self.jobs = [await self.tenant.held(3, n=3) for _ in range(10)]
        await self.tenant.let_pass(2 * HOUR)
        self.granted.append(await self.tenant.promotional(15))
        self.new = [await self.tenant.job(2) for _ in range(12)]

    def acts(self) -> list[Act]:
        tenant, id = self.tenant, self.tenant.tenant_id
        pays = [lot for lot in self.granted if lot.category is LotCategory.PAID]
        payment, again = new_id("pay"), new_id("refund")
        acts: list[Act] = [lambda job=job: tenant.ledger.reserve(job, id) for job in self.new]  # type: ignore[misc]
        acts += [lambda job=job: self._end(job) for job in self.jobs]  # type: ignore[misc]
        acts += [lambda: tenant.lots.expire_due(50)] * 3
        acts += [lambda: tenant.grant(20, payment=payment)] * 2
        acts += [lambda: self._take_back(pays[-1].reference, again, 5)] * 2
        acts += [lambda lot=lot: self._take_back(lot.reference, new_id("refund"), 7) for lot in pays]  # type: ignore[misc]
        acts += [lambda: self._take_back(new_id("unknown"), "early", 3)]
        acts += [lambda: tenant.lots.void(self.dice.choice(self.granted).id, by=SYSTEM)] * 2
        acts += [lambda: tenant.lots.expire(self.dice.choice(self.granted).id, by=SYSTEM)] * 2
        accounts = PostgresCreditAccounts(tenant.books.database)
        acts += [lambda: accounts.withdraw(id, 2, new_id("back"), by=SYSTEM)] * 2
        return acts

    async def _end(self, job: str) -> object:
        if self.dice.random() < 0.5:
            return await self.tenant.ledger.refund(job, CANCELED)
        return await self.tenant.ledger.complete(job, images(job, 2), tenant_id=self.tenant.tenant_id)

    async def _take_back(self, payment: str, reference: str, credits: int) -> object:
        return await self.tenant.lots.take_back(self.tenant.tenant_id, payment, reference, credits, by=SYSTEM)


async def deadlocks(books: PostgresBooks) -> int:
    [[count]] = await books.sql("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()")
    return int(count)


@pytest.mark.parametrize("tenants", [1, 4])
async def test_everything_at_once(books: PostgresBooks, tenants: int) -> None:
    dice = random.Random(tenants)  # noqa: S311 - no secret
    busy = [Busy(await tenant_lots(books), dice) for _ in range(tenants)]
    for _ in range(ROUNDS if tenants == 1 else 1):
        for each in busy:
            await each.prepare()
        acts = [act for each in busy for act in each.acts()]
        dice.shuffle(acts)
        await Crowd().run(acts)
        for each in busy:
            await books.assert_consistent(each.tenant.tenant_id)


async def test_batches_over_tenants_and_sweeps_never_wait_for_each_other(books: PostgresBooks) -> None:
    """Batches name tenants in any order, and their refunds go on to accounts that they had not locked."""
    before = await deadlocks(books)
    dice = random.Random(7)  # noqa: S311 - no secret
    many = [await tenant_lots(books) for _ in range(4)]
    for _ in range(ROUNDS):
        for each in many:
            await each.promotional(12)
            await each.grant(12)
        held = [await each.held(2, n=2) for each in many for _ in range(6)]
        new = [await each.job(1) for each in many for _ in range(6)]
        for each in many:
            await each.let_pass(2 * HOUR)
        dice.shuffle(held)
        dice.shuffle(new)
        acts: list[Act] = [lambda part=held[at::6]: _finish(books.database, part) for at in range(6)]  # type: ignore[misc]
        acts += [lambda part=new[at::6]: books.database.call(_RESERVE, {"jobs": part}) for at in range(6)]  # type: ignore[misc]
        acts += [lambda: many[0].lots.expire_due(100)] * 6
        acts += [lambda each=each: each.grant(3) for each in many * 2]  # type: ignore[misc]
        dice.shuffle(acts)
        await Crowd().run(acts)
        for each in many:
            await books.assert_consistent(each.tenant_id)
    assert await deadlocks(books) == before


async def _finish(database: Database, jobs: list[str]) -> object:
    finished = [
        {"generation": job, "images": [asdict(image) for image in images(job, 1)], "undelivered": []}
        for job in jobs
    ]
    return await database.call(_FINISH, {"finished": finished})


async def test_a_key_never_holds_more_than_it_may(books: PostgresBooks) -> None:
    """Each of two keys of a tenant, however many workers reserve for it at once."""
    tenant = await tenant_lots(books)
    await tenant.grant(60)
    caps = {"monthly_budget_credits": 8, "max_held_credits": 11}
    jobs: dict[str, list[str]] = {}
    for cap, credits in caps.items():
        key = await PostgresTenants(books.database).create_key(tenant.tenant_id, [])
        await books.sql(
            f"UPDATE api_keys SET {cap} = :credits WHERE id = :id",  # noqa: S608 - ours
            credits=credits,
            id=key.key_id,
        )
        jobs[cap] = [await tenant.job(1) for _ in range(25)]
        await books.sql(
            "UPDATE generations SET api_key_id = :key WHERE id = ANY (:jobs)", key=key.key_id, jobs=jobs[cap]
        )
    workers = [PostgresLedger(books.database) for _ in range(3)]
    acts: list[Act] = [
        lambda job=job, turn=turn: workers[turn % 3].reserve(job, tenant.tenant_id)  # type: ignore[misc]
        for turn, job in enumerate([*jobs["monthly_budget_credits"], *jobs["max_held_credits"]] * 2)
    ]
    await Crowd().run(acts)
    for cap, credits in caps.items():
        [[held, ended]] = await books.sql(
            "SELECT count(*) FILTER (WHERE held_credits = 1), count(error_code) FROM generations"
            " WHERE id = ANY (:jobs)",
            jobs=jobs[cap],
        )
        assert (held, ended) == (credits, 25 - credits)
    assert await books.balance(tenant.tenant_id) == Balance(41, 19, 0)
    await books.assert_consistent(tenant.tenant_id)
