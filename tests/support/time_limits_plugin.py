"""Pytest hooks that limit the time of every test and of every fixture's set-up and teardown.

A limit raises TimeoutError where pytest catches it, so that test fails alone. Only what cannot be interrupted
reaches the last resort, which ends the process; pytest-xdist starts another one.
"""

import faulthandler
import functools
import inspect
import os
import time
from collections.abc import AsyncIterator, Callable, Generator, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from pytest_asyncio import is_async_test

from tests.support.time_limits import MAX_AUTOMATIC_SCALE, SETTING, alarm, scaled, within

TEST_SECONDS = 180.0
# A fixture may start every server there is.
FIXTURE_SECONDS = 300.0
# Longer than a fixture that hangs on the busiest machine.
LAST_RESORT_SECONDS = 1.2 * FIXTURE_SECONDS * MAX_AUTOMATIC_SCALE

Function = Callable[..., Any]
_stderr = pytest.StashKey[int]()
_last_resort_seconds = pytest.StashKey[float]()


def pytest_configure(config: pytest.Config) -> None:
    # While a test runs, pytest captures what is written to file descriptor 2.
    config.stash[_stderr] = os.dup(2)
    # Read once: a test may change the setting, and the teardown that follows may have every server to stop.
    config.stash[_last_resort_seconds] = float(os.environ.get(SETTING) or 1) * LAST_RESORT_SECONDS


def pytest_report_header() -> str:
    return f"time limits: {scaled(1):.3g} times as long ({SETTING})"


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_fixture_setup(fixturedef: pytest.FixtureDef[Any]) -> Generator[None, object, object]:
    if not inspect.isfunction(fixturedef.func):
        return (yield)
    with pytest.MonkeyPatch.context() as patch:
        what = f"fixture {fixturedef.argname}"
        patch.setattr(fixturedef, "func", _limited(fixturedef.func, what, lambda: scaled(FIXTURE_SECONDS)))
        return (yield)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> Generator[None]:
    with _last_resort(item):
        yield


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None]:
    what, limit_seconds = f"test {item.name}", scaled(TEST_SECONDS)
    ends_at = time.monotonic() + limit_seconds
    with _last_resort(item), pytest.MonkeyPatch.context() as patch:
        if isinstance(item, pytest.Function) and is_async_test(item):
            owner, name = _coroutine_function(item)
            # Hypothesis runs a coroutine per example; together they have the time of one test.
            limiting = _limited_async(
                getattr(owner, name), what, lambda: max(0.0, ends_at - time.monotonic()), limit_seconds
            )
            patch.setattr(owner, name, limiting)
            yield
        else:
            with alarm(limit_seconds, what):
                yield


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_teardown(item: pytest.Item) -> Generator[None]:
    with _last_resort(item):
        yield


@contextmanager
def _last_resort(item: pytest.Item) -> Iterator[None]:
    """Show every thread and end the process if this phase of the test hangs for good."""
    seconds = item.config.stash[_last_resort_seconds]
    faulthandler.dump_traceback_later(seconds, exit=True, file=item.config.stash[_stderr])
    try:
        yield
    finally:
        faulthandler.cancel_dump_traceback_later()


def _coroutine_function(item: pytest.Function) -> tuple[Any, str]:
    """Return where pytest-asyncio finds the coroutine function of a test."""
    hypothesis = getattr(item.obj, "hypothesis", None)
    return (item, "obj") if hypothesis is None else (hypothesis, "inner_test")


def _limited(function: Function, what: str, seconds: Callable[[], float]) -> Function:
    """Return the test or fixture with a limit on it, or on each of its parts if it yields."""
    if inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function):
        return _limited_async(function, what, seconds)
    return _limited_sync(function, what, seconds)


def _limited_async(
    function: Function, what: str, seconds: Callable[[], float], limit_seconds: float | None = None
) -> Function:
    @functools.wraps(function)
    async def coroutine(*args: Any, **kwargs: Any) -> Any:
        async with within(seconds(), what, limit_seconds=limit_seconds):
            return await function(*args, **kwargs)

    @functools.wraps(function)
    async def generator(*args: Any, **kwargs: Any) -> AsyncIterator[Any]:
        parts = function(*args, **kwargs)
        while True:
            async with within(seconds(), what):
                try:
                    value = await anext(parts)
                except StopAsyncIteration:
                    return
            yield value

    return generator if inspect.isasyncgenfunction(function) else coroutine


def _limited_sync(function: Function, what: str, seconds: Callable[[], float]) -> Function:
    @functools.wraps(function)
    def plain(*args: Any, **kwargs: Any) -> Any:
        with alarm(seconds(), what):
            return function(*args, **kwargs)

    @functools.wraps(function)
    def generator(*args: Any, **kwargs: Any) -> Iterator[Any]:
        parts = function(*args, **kwargs)
        while True:
            with alarm(seconds(), what):
                try:
                    value = next(parts)
                except StopIteration:
                    return
            yield value

    return generator if inspect.isgeneratorfunction(function) else plain
