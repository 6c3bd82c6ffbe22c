"""Tests that hang, collected only by the pytest that `tests/test_time_limits.py` starts."""

import asyncio
import signal
import threading
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.time_limits import SETTING


async def hang() -> None:
    await asyncio.Event().wait()


@pytest.fixture(scope="session")
async def loop() -> AsyncIterator[asyncio.AbstractEventLoop]:
    yield asyncio.get_running_loop()
    await asyncio.sleep(0)


@pytest.fixture(autouse=True)
async def _same_loop(loop: asyncio.AbstractEventLoop) -> None:
    """Every test here needs a session loop that still works."""
    await asyncio.sleep(0)
    assert asyncio.get_running_loop() is loop


@pytest.fixture
async def other_tasks() -> AsyncIterator[None]:
    """Keep the loop busy, so that it is hardly ever found waiting for events."""

    async def turn() -> None:
        while True:  # noqa: ASYNC110 - what it waits for never comes
            await asyncio.sleep(0)

    tasks = [asyncio.create_task(turn()) for _ in range(3)]
    yield
    assert not any(task.done() for task in tasks)
    for task in tasks:
        task.cancel()


@pytest.fixture
async def hangs_in_setup() -> None:
    await hang()


@pytest.fixture
async def hangs_in_teardown() -> AsyncIterator[None]:
    yield
    await hang()


@pytest.fixture
def blocks_in_teardown() -> Iterator[None]:
    yield
    threading.Event().wait()


async def test_async() -> None:
    await hang()


async def test_in_a_busy_loop(other_tasks: None) -> None:
    await hang()


async def test_whose_cleanup_hangs() -> None:
    try:
        await hang()
    finally:
        await hang()


async def test_that_swallows_its_cancellation() -> None:
    with suppress(asyncio.CancelledError):
        await hang()


@settings(max_examples=5)
@given(st.integers(0, 100))
async def test_by_hypothesis(number: int) -> None:
    await hang()


async def test_setup(hangs_in_setup: None) -> None: ...


async def test_teardown(hangs_in_teardown: None) -> None: ...


def test_sync() -> None:
    threading.Event().wait()


def test_sync_teardown(blocks_in_teardown: None) -> None: ...


@pytest.mark.skipif("not hasattr(config, 'workerinput')", reason="ends its process")
def test_not_even_a_signal_interrupts() -> None:
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGALRM})
    threading.Event().wait()


async def test_at_last() -> None:
    await asyncio.sleep(0)


@pytest.fixture(scope="module")
def takes_a_moment_to_end() -> Iterator[None]:
    yield
    time.sleep(0.5)


def test_that_changes_the_setting(monkeypatch: pytest.MonkeyPatch, takes_a_moment_to_end: None) -> None:
    monkeypatch.setenv(SETTING, "0.0001")
