"""Jobs that run make nothing disagree, whatever moment they are looked at."""

import asyncio

from domain.audit import SYSTEM
from domain.generation import Status, TerminalState
from domain.lots import Grant
from tests.integration.books.conftest import Site, of_key

_JOBS, _AT_ONCE = 60, 6


async def test_a_busy_ledger_gives_no_false_alarm(site: Site) -> None:
    await site.lots.grant(Grant(site.tenant_id, 1000, "more"), by=SYSTEM)
    turns = asyncio.Semaphore(_AT_ONCE)

    async def work(number: int) -> None:
        async with turns:
            generation_id = await site.books.add(site.tenant_id, of_key(site.key_id))
            await site.ledger.reserve(generation_id, site.tenant_id)
            if number % 2:
                await site.books.store(generation_id)
                await site.ledger.settle(generation_id)
            else:
                await site.ledger.refund(generation_id, TerminalState(Status.CANCELED))
            if number % 5 == 0:
                await site.lots.grant(Grant(site.tenant_id, 3, f"gift-{number}"), by=SYSTEM)

    jobs = asyncio.gather(*(work(number) for number in range(_JOBS)))
    checks = 0
    while not jobs.done():
        assert await site.disagreements(whole=checks % 2 == 0) == set()
        checks += 1
    await jobs
    assert checks > 1
    assert await site.disagreements(whole=False) == await site.disagreements() == set()
