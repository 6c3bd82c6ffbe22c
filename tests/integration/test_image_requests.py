"""Leases of waiting connections in the real database."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from adapters.database.image_requests import PostgresImageRequests
from domain.errors import RequestAbandoned
from domain.generation import GenerationRequest
from domain.image_requests import ImageRequest
from tests.support.books import PostgresBooks
from tests.support.requests import new_id, request


def tried(
    fingerprint: str, retry_count: int = 0, *, is_gone: Callable[[], bool] = lambda: False
) -> ImageRequest:
    """Return one try of a request."""
    return ImageRequest(
        new_id("connection"), "key", "route", (fingerprint,), retry_count, marks_repeats=True, is_gone=is_gone
    )


@pytest.fixture
def requests(books: PostgresBooks) -> PostgresImageRequests:
    return PostgresImageRequests(books.database)


@pytest.fixture
def fingerprint() -> str:
    return new_id("fingerprint")


async def created(books: PostgresBooks, sent: ImageRequest, wanted: GenerationRequest | None = None) -> str:
    generation, _ = await books.generations.create(
        await books.tenant(), wanted or request(), None, "fingerprint", sent
    )
    return generation.id


async def test_a_request_whose_client_is_gone_leaves_nothing(books: PostgresBooks, fingerprint: str) -> None:
    tenant = await books.tenant()
    gone = tried(fingerprint, is_gone=lambda: True)
    with pytest.raises(RequestAbandoned):
        await books.generations.create(tenant, request(), None, "fingerprint", gone)

    assert await books.sql("SELECT id FROM generations WHERE tenant_id = :tenant", tenant=tenant) == []


async def test_an_ended_connection_is_adopted_by_a_later_try(
    books: PostgresBooks, requests: PostgresImageRequests, fingerprint: str
) -> None:
    first = tried(fingerprint)
    job = await created(books, first)
    seen = await requests.adopt(tried(fingerprint, 1))
    await requests.end([first.connection_id])

    assert (seen.adopted, list(seen.connected)) == (None, [job])
    assert (await requests.adopt(tried(fingerprint, 0))).adopted is None
    assert (await requests.adopt(tried("another", 1))).adopted is None
    second = tried(fingerprint, 1)
    assert (await requests.adopt(second)).adopted == job
    await requests.end([second.connection_id])
    assert (await requests.adopt(tried(fingerprint, 1))).adopted is None
    assert (await requests.adopt(tried(fingerprint, 2))).adopted == job


async def test_what_a_connection_says_after_it_lost_its_job_changes_nothing(
    books: PostgresBooks, requests: PostgresImageRequests, fingerprint: str
) -> None:
    first, second = tried(fingerprint), tried(fingerprint, 1)
    job = await created(books, first)
    await requests.end([first.connection_id])
    assert (await requests.adopt(second)).adopted == job
    await requests.end([first.connection_id])
    await requests.mark_answered([first.connection_id])

    seen = await requests.adopt(tried(fingerprint, 2))
    assert (seen.adopted, list(seen.connected)) == (None, [job])


async def test_a_lease_is_renewed_and_an_answered_one_is_gone(
    books: PostgresBooks, requests: PostgresImageRequests, fingerprint: str
) -> None:
    first = tried(fingerprint)
    job = await created(books, first)
    before = (await requests.adopt(tried(fingerprint, 1))).connected[job]
    await requests.renew([first.connection_id])
    assert (await requests.adopt(tried(fingerprint, 1))).connected[job] > before
    await requests.mark_answered([first.connection_id])
    assert (await requests.adopt(tried(fingerprint, 1))).connected == {}


async def test_the_newest_job_is_adopted_first(
    books: PostgresBooks, requests: PostgresImageRequests, fingerprint: str
) -> None:
    tries = [tried(fingerprint), tried(fingerprint)]
    jobs = [await created(books, each) for each in tries]
    await requests.end([each.connection_id for each in tries])

    adopted = [(await requests.adopt(tried(fingerprint, 1))).adopted for _ in range(3)]
    assert adopted == [jobs[1], jobs[0], None]


async def test_a_try_under_the_next_master_key_is_recognized(
    books: PostgresBooks, requests: PostgresImageRequests, fingerprint: str
) -> None:
    first = tried(fingerprint)
    job = await created(books, first)
    await requests.end([first.connection_id])
    rotated = replace(tried(fingerprint, 1), fingerprints=(new_id("fingerprint"), fingerprint))

    assert (await requests.adopt(rotated)).adopted == job


async def test_what_is_too_old_is_forgotten(
    books: PostgresBooks, requests: PostgresImageRequests, fingerprint: str
) -> None:
    old, recent, long_waited = (tried(fingerprint) for _ in range(3))
    jobs = [await created(books, each) for each in (old, recent, long_waited)]
    await requests.end([old.connection_id, recent.connection_id])
    age = "UPDATE image_requests SET created_at = now() - interval '1 day'"
    for job in (jobs[0], jobs[2]):
        await books.sql(f"{age} WHERE generation_id = :id", id=job)
    ended = "UPDATE image_requests SET connected_until = now() - interval '1 day' WHERE generation_id = :id"
    await books.sql(ended, id=jobs[0])

    assert await requests.forget_old() == 1
    assert (await requests.adopt(tried(fingerprint, 1))).connected.keys() == {jobs[1], jobs[2]}
