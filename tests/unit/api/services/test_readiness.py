"""Readiness needs only the essential part; others are only reported."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from api.services.readiness import Readiness
from domain.errors import DatabaseUnavailable, StorageUnavailable, TemporalUnavailable
from tests.support.time_limits import scaled

Check = Callable[[], Awaitable[bool]]


async def up() -> bool:
    return True


async def down() -> bool:
    return False


async def without_database() -> bool:
    raise DatabaseUnavailable


async def without_temporal() -> bool:
    raise TemporalUnavailable


async def without_storage() -> bool:
    raise StorageUnavailable


async def timed_out() -> bool:
    raise TimeoutError


async def silent() -> bool:
    await asyncio.Event().wait()
    return True


async def test_all_up_is_ready() -> None:
    readiness = Readiness({"postgres": up, "temporal": up, "s3": up}, essential="postgres")

    assert await readiness.check_all() == (True, {"postgres": "ok", "temporal": "ok", "s3": "ok"})


@pytest.mark.parametrize("check", [down, without_temporal, without_storage, timed_out])
async def test_ready_with_a_part_down_that_is_not_essential(check: Check) -> None:
    readiness = Readiness({"postgres": up, "temporal": check, "s3": up}, essential="postgres")

    assert await readiness.check_all() == (True, {"postgres": "ok", "temporal": "down", "s3": "ok"})


@pytest.mark.parametrize("check", [down, without_database, timed_out])
async def test_not_ready_without_the_essential_part(check: Check) -> None:
    readiness = Readiness({"postgres": check, "temporal": up}, essential="postgres")

    assert await readiness.check_all() == (False, {"postgres": "down", "temporal": "ok"})


async def test_silence_is_down_and_all_are_asked_side_by_side() -> None:
    readiness = Readiness({"postgres": up, "temporal": silent, "s3": silent}, essential="postgres")
    # One after the other the two would take three seconds.
    async with asyncio.timeout(scaled(2.5)):
        states = await readiness.check_all()

    assert states == (True, {"postgres": "ok", "temporal": "down", "s3": "down"})


async def test_many_who_ask_cost_one_check_a_second() -> None:
    checks, seconds = 0, 1000.0

    async def counted() -> bool:
        nonlocal checks
        checks += 1
        await asyncio.sleep(0)
        return checks == 1

    readiness = Readiness({"postgres": counted}, essential="postgres", clock=lambda: seconds)

    first = await asyncio.gather(*(readiness.check_all() for _ in range(100)))
    assert (checks, {ready for ready, _ in first}) == (1, {True})

    seconds += 1.5
    found, *second = await asyncio.gather(*(readiness.check_all() for _ in range(100)))
    assert (checks, found[0], {ready for ready, _ in second}) == (2, False, {True})
    assert (await readiness.check_all())[0] is False


async def test_while_a_check_hangs_the_last_answer_is_given() -> None:
    seconds, hangs, go_on = 1000.0, False, asyncio.Event()

    async def check() -> bool:
        if hangs:
            await go_on.wait()
        return not hangs

    readiness = Readiness({"postgres": check}, essential="postgres", clock=lambda: seconds)
    assert (await readiness.check_all())[0] is True
    seconds, hangs = seconds + 5, True
    checking = asyncio.create_task(readiness.check_all())
    await asyncio.sleep(0)

    meanwhile = await readiness.check_all()
    assert not checking.done()
    go_on.set()

    assert (meanwhile[0], (await checking)[0]) == (True, False)
