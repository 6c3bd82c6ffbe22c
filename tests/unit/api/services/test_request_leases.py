"""Leases of waiting requests: what is told to the other processes, and when."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest

from api.services import request_leases
from api.services.request_leases import RequestLeases
from domain.errors import DatabaseUnavailable
from domain.image_requests import ImageRequest
from domain.ports import AdoptableJobs
from tests.support.eventually import eventually


@dataclass
class Connection:
    """Where a request came from."""

    is_gone: bool = False


@dataclass
class Requests:
    """Notes what is said of each connection. is_away: whether the database is. is_broken: by a bug."""

    is_away: bool = False
    is_broken: bool = False
    renewed: set[str] = field(default_factory=set)
    ended: set[str] = field(default_factory=set)
    answered: set[str] = field(default_factory=set)
    forgotten: int = 0
    refused: int = 0

    async def adopt(self, request: ImageRequest) -> AdoptableJobs:
        raise AssertionError(request)

    async def renew(self, connection_ids: Sequence[str]) -> None:
        self._note(self.renewed, connection_ids)

    async def end(self, connection_ids: Sequence[str]) -> None:
        self._note(self.ended, connection_ids)

    async def mark_answered(self, connection_ids: Sequence[str]) -> None:
        self._note(self.answered, connection_ids)

    async def forget_old(self) -> int:
        self._note(set(), ())
        self.forgotten += 1
        return 0

    def _note(self, said: set[str], connection_ids: Sequence[str]) -> None:
        if self.is_broken:
            self.refused += 1
            raise RuntimeError
        if self.is_away:
            self.refused += 1
            raise DatabaseUnavailable
        said |= set(connection_ids)


@pytest.fixture
def requests(monkeypatch: pytest.MonkeyPatch) -> Requests:
    monkeypatch.setattr(request_leases, "_TICK_SECONDS", 0.01)
    monkeypatch.setattr(request_leases, "_RENEW_SECONDS", 0.02)
    monkeypatch.setattr(request_leases, "_SETTLE_SECONDS", 0.1)
    return Requests()


@asynccontextmanager
async def running(requests: Requests) -> AsyncIterator[RequestLeases]:
    leases = RequestLeases(requests)
    task = asyncio.create_task(leases.run())
    yield leases
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_a_connection_that_waits_is_renewed_and_the_last_is_ended(requests: Requests) -> None:
    async with running(requests) as leases:
        leases.hold("waits", Connection())
        await eventually(lambda: requests.renewed == {"waits"})
        assert (requests.ended, requests.answered) == (set(), set())

    assert requests.ended == {"waits"}


async def test_an_answer_counts_once_the_connection_outlived_it(requests: Requests) -> None:
    early, lost = Connection(), Connection()
    async with running(requests) as leases:
        for name, connection in (("received", early), ("lost", lost)):
            lease = leases.hold(name, connection)
            lease.mark_sent()
            lease.end()
        lost.is_gone = True
        await eventually(lambda: requests.answered == {"received"} and requests.ended == {"lost"})

    assert (requests.answered, requests.ended) == ({"received"}, {"lost"})


async def test_a_request_without_an_answer_is_ended(requests: Requests) -> None:
    gone = Connection()
    async with running(requests) as leases:
        leases.hold("no answer", Connection()).end()
        leases.hold("gone", gone)
        gone.is_gone = True
        await eventually(lambda: requests.ended == {"no answer", "gone"})
        requests.renewed.clear()
        leases.hold("waits", Connection())
        await eventually(lambda: requests.renewed == {"waits"})


async def test_what_could_not_be_written_is_written_later(requests: Requests) -> None:
    requests.is_away = True
    async with running(requests) as leases:
        leases.hold("no answer", Connection()).end()
        leases.hold("waits", Connection())
        await eventually(lambda: requests.refused > 2)
        requests.is_away = False
        await eventually(lambda: requests.ended == {"no answer"} and requests.renewed >= {"waits"})


async def test_what_is_old_is_forgotten_now_and_then(requests: Requests) -> None:
    async with running(requests) as leases:
        leases.hold("waits", Connection())
        await eventually(lambda: requests.forgotten == 1)
        requests.renewed.clear()
        await eventually(lambda: requests.renewed == {"waits"})

    assert requests.forgotten == 1


async def test_what_fails_for_whatever_reason_is_tried_again(requests: Requests) -> None:
    """Else every lease of the process would be over from then on, and jobs taken from clients that wait."""
    async with running(requests) as leases:
        requests.is_broken = True
        leases.hold("one", Connection())
        await eventually(lambda: requests.refused > 2, 10)
        requests.is_broken = False
        await eventually(lambda: "one" in requests.renewed, 10)
