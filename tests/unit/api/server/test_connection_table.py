"""The bookkeeping of connections, without a network; and what happens when descriptors run out."""

import asyncio
import errno
from typing import Any

import pytest

from api.server.config import when_descriptors_run_out
from api.server.connections import ConnectionLimits, ConnectionTable


class Socket:
    """A connection without a network."""

    def __init__(self) -> None:
        self.is_evicted = False

    def evict(self) -> None:
        self.is_evicted = True


def test_nothing_is_remembered_of_connections_that_are_closed() -> None:
    table = ConnectionTable(ConnectionLimits(max_anonymous=3))
    for number in range(100):
        connection = Socket()
        table.open(connection, f"203.0.113.{number}")
        (table.mark_busy, table.mark_authenticated, table.mark_silent, table.close)[number % 4](connection)
        request = table.enter_request(f"198.51.100.{number}")
        request.leave()
        request.leave()
        table.close(connection)
        table.close(connection)

    held = (
        table._open,
        table._anonymous,
        table._of_client,
        table._silent,
        table._silent_of,
        table._known,
        table._silent_known,
    )
    assert [len(each) for each in held] == [0] * len(held)


def entered(table: ConnectionTable, client: str | None = "203.0.113.1", *, has_key: bool = True) -> Socket:
    """A connection that is silent after its request."""
    connection = Socket()
    assert table.open(connection, client)
    table.mark_busy(connection)
    if has_key:
        table.mark_authenticated(connection)
    table.mark_silent(connection)
    return connection


def test_idle_connections_of_one_key_take_no_place_from_others() -> None:
    table = ConnectionTable(ConnectionLimits(max_connections=4, max_anonymous=2))
    stranger = entered(table, "203.0.113.2", has_key=False)
    idle = [entered(table) for _ in range(3)]
    busy = [entered(table, f"203.0.113.{number}") for number in range(3, 6)]
    for each in busy:
        table.mark_busy(each)

    assert [each.is_evicted for each in [stranger, *idle, *busy]] == [False] + [True] * 3 + [False] * 3
    assert len(table) == 4

    # Now only the stranger's is silent, and then none.
    newest = entered(table, "203.0.113.7", has_key=False)
    assert (stranger.is_evicted, newest.is_evicted) == (True, False)
    table.mark_busy(newest)
    assert not table.open(Socket(), "203.0.113.8")
    assert not table.open(Socket(), None)


def test_who_reads_again_is_closed_after_those_who_were_idle_before() -> None:
    table = ConnectionTable(ConnectionLimits(max_connections=2))
    first, second = entered(table), entered(table)
    table.mark_busy(first)
    table.mark_silent(first)
    table.mark_silent(second)

    entered(table)

    assert (first.is_evicted, second.is_evicted) == (False, True)


def test_a_proxys_connection_is_never_closed_for_another() -> None:
    table = ConnectionTable(ConnectionLimits(max_connections=1))
    proxy = entered(table, None)

    assert not table.open(Socket(), "203.0.113.1")
    assert not proxy.is_evicted


def test_without_descriptors_idle_connections_with_a_key_are_closed_after_anonymous_ones() -> None:
    table = ConnectionTable(ConnectionLimits())
    with_key, anonymous = entered(table), entered(table, has_key=False)

    assert table.free(1) == 1
    assert (with_key.is_evicted, anonymous.is_evicted) == (False, True)
    assert table.free(2) == 1
    assert with_key.is_evicted


def out_of_descriptors(number: int = errno.EMFILE) -> dict[str, Any]:
    return {
        "message": "socket.accept() out of system resource",
        "exception": OSError(number, ""),
        "socket": 1,
    }


async def test_without_descriptors_the_oldest_silent_connections_are_closed() -> None:
    table = ConnectionTable(ConnectionLimits())
    sockets = [Socket() for _ in range(200)]
    for each in sockets:
        assert table.open(each, "203.0.113.1")
    table.mark_busy(sockets[0])
    handle = when_descriptors_run_out(table)

    # asyncio reports each of its tries.
    for _ in range(50):
        handle(asyncio.get_running_loop(), out_of_descriptors())

    assert [each.is_evicted for each in sockets] == [False] + [True] * 128 + [False] * 71
    assert len(table) == 72


@pytest.mark.parametrize(
    "context",
    [
        {"message": "a bug", "exception": ValueError("a bug")},
        {"message": "a reset", "exception": OSError(errno.EMFILE, "")},
        out_of_descriptors(errno.ECONNABORTED),
    ],
)
async def test_other_exceptions_of_the_loop_are_logged_as_ever(
    context: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    table = ConnectionTable(ConnectionLimits())
    silent = Socket()
    table.open(silent, "203.0.113.1")

    when_descriptors_run_out(table)(asyncio.get_running_loop(), context)

    assert not silent.is_evicted
    assert context["message"] in caplog.text


@pytest.mark.parametrize("descriptors", [256, 1024, 4096, 20_000, 65_536])
def test_the_limits_fit_the_descriptors(descriptors: int) -> None:
    limits = ConnectionLimits().within(descriptors)

    assert limits.max_connections + limits.backlog < max(descriptors, 300)
    assert limits.max_anonymous < limits.max_connections
    assert limits.max_per_address <= limits.max_anonymous / 2
    assert limits.max_connections >= 16


def test_with_enough_descriptors_the_limits_are_as_they_were_set() -> None:
    assert ConnectionLimits().within(65_536) == ConnectionLimits()
