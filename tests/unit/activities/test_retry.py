"""Around what was paid for, everything is tried again that is not provably a bug or a final answer."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress

import pytest
from temporalio.testing import ActivityEnvironment

from activities import retry
from activities.retry import retry_transient
from domain.errors import DatabaseUnavailable, ResultUnusable, SubmitAmbiguous


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retry, "_FIRST_PAUSE_SECONDS", 0.001)
    monkeypatch.setattr(retry, "_MAX_PAUSE_SECONDS", 0.001)


def failing(error: Exception, times: int) -> tuple[Callable[[], Awaitable[str]], list[int]]:
    """Return a call that raises so often before it returns, and the list of its calls."""
    calls: list[int] = []

    async def call() -> str:
        calls.append(1)
        if len(calls) <= times:
            raise error
        return "done"

    return call, calls


@pytest.mark.parametrize(
    "error", [DatabaseUnavailable(), OSError("network"), RuntimeError("never seen before")]
)
async def test_what_may_pass_is_tried_again(error: Exception) -> None:
    call, calls = failing(error, 30)
    assert await ActivityEnvironment().run(retry_transient, call) == "done"
    assert len(calls) == 31


@pytest.mark.parametrize(
    "error",
    [ResultUnusable(), SubmitAmbiguous(), TypeError(), KeyError(), AttributeError(), AssertionError()],
)
async def test_what_cannot_pass_is_raised_at_once(error: Exception) -> None:
    call, calls = failing(error, 1)
    with pytest.raises(type(error)):
        await ActivityEnvironment().run(retry_transient, call)
    assert len(calls) == 1


async def test_the_budget_ends_it() -> None:
    call, _ = failing(DatabaseUnavailable(), 10_000_000)
    environment = ActivityEnvironment()
    with pytest.raises(DatabaseUnavailable):
        await environment.run(lambda: retry_transient(call, budget_seconds=0.2))


async def test_a_worker_whose_grace_is_over_does_not_hang_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retry, "_STOPPING_SECONDS", 0.2)
    environment, (call, calls) = ActivityEnvironment(), failing(DatabaseUnavailable(), 10_000_000)

    async def stopped() -> str:
        environment.worker_shutdown()
        environment.cancel()
        # What was begun goes on in spite of the cancel, as a submit does.
        with suppress(asyncio.CancelledError):
            await asyncio.sleep(0)
        return await retry_transient(call)

    with pytest.raises(DatabaseUnavailable):
        await environment.run(stopped)
    assert len(calls) > 1


async def test_within_the_grace_the_budget_is_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retry, "_STOPPING_SECONDS", 0.0)
    environment, (call, calls) = ActivityEnvironment(), failing(DatabaseUnavailable(), 20)
    environment.worker_shutdown()
    assert await environment.run(retry_transient, call) == "done"
    assert len(calls) == 21
