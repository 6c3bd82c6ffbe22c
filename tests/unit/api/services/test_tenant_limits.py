"""Each tenant has its own limit of concurrent requests, and no wait is endless."""

import asyncio

import pytest
from starlette.exceptions import HTTPException

from api.services.tenant_limits import TenantConcurrencyLimiter
from tests.support.eventually import eventually


async def test_one_tenant_waits_and_another_does_not() -> None:
    turns = TenantConcurrencyLimiter(2, wait_seconds=0.01)
    async with turns.limit("ten_1"), turns.limit("ten_1"):
        with pytest.raises(HTTPException) as refused:
            async with turns.limit("ten_1"):
                pytest.fail("a third turn")
        async with turns.limit("ten_2"):
            pass
    async with turns.limit("ten_1"), turns.limit("ten_1"):
        pass

    assert (refused.value.status_code, refused.value.headers) == (429, {"Retry-After": "1"})


async def test_a_free_turn_passes_to_the_next() -> None:
    turns = TenantConcurrencyLimiter(1, wait_seconds=10)
    order: list[str] = []

    async def second() -> None:
        order.append("asks")
        async with turns.limit("ten_1"):
            order.append("second")

    async with turns.limit("ten_1"):
        waiting = asyncio.create_task(second())
        await eventually(lambda: "asks" in order)
        order.append("first")
    await waiting

    assert order == ["asks", "first", "second"]


async def test_tenants_that_are_done_are_forgotten() -> None:
    turns = TenantConcurrencyLimiter(1, wait_seconds=10)
    for number in range(100):
        async with turns.limit(f"ten_{number}"):
            pass

    assert len(turns._tenants) == 0
