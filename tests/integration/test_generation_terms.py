"""What generations are found by: words by one rule, and nothing that has been erased."""

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import text

from adapters.database.erasure import PostgresErasure, request_erasure
from adapters.database.generation_lists import fill_terms
from domain.audit import SYSTEM
from domain.generation import Status
from domain.listing import GenerationFilter
from domain.retention import DataKind, Retention
from tests.support.books import PostgresBooks
from tests.support.eventually import eventually
from tests.support.requests import request
from tests.support.time_limits import scaled

_FOX = GenerationFilter(q="fox")
_USER = GenerationFilter(metadata={"user": "u1"})
_MODEL = GenerationFilter(model="flux-schnell")


@pytest.mark.parametrize(
    ("written", "words"),
    [
        ("", []),
        ("... !!", []),
        ("A Fox, in the SNOW—don't", ["a", "fox", "in", "the", "snow", "don", "t"]),
        ("sci-fi a_b c.d 3x3", ["sci", "fi", "a", "b", "c", "d", "3x3"]),
        ("fox Fox FOX", ["fox"]),
        ("École à İstanbul, Łódź Ørsted ẞ", ["ecole", "a", "istanbul", "łodz", "ørsted", "ẞ"]),
        ("ДОМ Ёлка йод", ["дом", "елка", "иод"]),
        ("ΑΒΓ έ", ["αβγ", "ε"]),
        ("一只狐狸", ["一", "只", "狐", "狸"]),
        ("fox🦊s", ["fox", "🦊", "s"]),
        ("서울 ｶﾅ １２", ["서울", "カ", "ナ", "12"]),  # noqa: RUF001 - of another width
        ("x" * 41, ["x" * 40]),
        (" ".join(f"w{n}" for n in range(120)), [f"w{n}" for n in range(100)]),
    ],
)
async def test_words_are_told_apart_by_one_rule(books: PostgresBooks, written: str, words: list[str]) -> None:
    assert await books.sql("SELECT words_of(:written)", written=written) == [(words,)]


@pytest.fixture
async def tenant_id(books: PostgresBooks) -> str:
    return await books.tenant(100)


async def add(books: PostgresBooks, tenant_id: str) -> str:
    """Create a generation that has ended; return its id."""
    wanted = replace(request("a Fox in the snow"), metadata={"user": "u1", "of": "Wolves"})
    generation_id = await books.add(tenant_id, wanted)
    await books.sql(
        "UPDATE generations SET status = 'canceled', stage = 'canceled' WHERE id = :id", id=generation_id
    )
    return generation_id


async def found(books: PostgresBooks, tenant_id: str) -> list[int]:
    """Return how many are found by a word, by metadata, and by model."""
    return [len(await books.listed(tenant_id, wanted)) for wanted in (_FOX, _USER, _MODEL)]


async def terms(books: PostgresBooks, tenant_id: str) -> list[int]:
    """Return the number of terms of each of the tenant's generations."""
    rows = await books.sql(
        "SELECT cardinality(terms) FROM generation_terms WHERE tenant_id = :tenant", tenant=tenant_id
    )
    return [row[0] for row in rows]


async def test_a_generation_is_found_by_the_words_of_its_prompt_and_its_metadata(
    books: PostgresBooks, tenant_id: str
) -> None:
    generation_id = await add(books, tenant_id)
    for q in ("fox", "SNOW fox", "wolves", "u1 a"):
        assert [job.id for job in await books.listed(tenant_id, GenerationFilter(q=q))] == [generation_id]
    for q in ("foxes", "of-course", "fox wolf", "user"):
        assert await books.listed(tenant_id, GenerationFilter(q=q)) == [], "not part of a word, nor a key"


async def test_nothing_finds_a_generation_that_its_client_deleted(
    books: PostgresBooks, tenant_id: str
) -> None:
    generation_id = await add(books, tenant_id)
    assert await found(books, tenant_id) == [1, 1, 1]
    await PostgresErasure(books.database).delete_generation(tenant_id, generation_id, by=SYSTEM)
    assert await found(books, tenant_id) == [0, 0, 0]
    assert await terms(books, tenant_id) == []


async def test_what_retention_erased_finds_nothing_and_the_model_still_does(
    books: PostgresBooks, tenant_id: str
) -> None:
    await add(books, tenant_id)
    erasure = PostgresErasure(books.database, settled=timedelta(0))
    assert await erasure.erase_due(DataKind.CONTENT, Retention({DataKind.CONTENT: 0.0}), 1000)
    assert await found(books, tenant_id) == [0, 0, 1]
    assert await terms(books, tenant_id) == [2], "model and provider"


async def test_nothing_is_left_of_a_tenant_that_was_erased(books: PostgresBooks, tenant_id: str) -> None:
    await add(books, tenant_id)
    await request_erasure(books.database, tenant_id, by=SYSTEM)
    await PostgresErasure(books.database).erase_tenant_batch(tenant_id, 100)
    assert await terms(books, tenant_id) == []


async def test_a_prompt_that_goes_at_the_end_of_a_job_takes_its_words_with_it(
    books: PostgresBooks, tenant_id: str
) -> None:
    generation_id = await add(books, tenant_id)
    await books.sql("UPDATE generations SET prompt = '' WHERE id = :id", id=generation_id)
    assert await found(books, tenant_id) == [0, 1, 1]
    assert len(await books.listed(tenant_id, GenerationFilter(q="wolves"))) == 1


async def test_an_update_of_anything_else_leaves_the_terms_as_they_are(
    books: PostgresBooks, tenant_id: str
) -> None:
    generation_id = await add(books, tenant_id)
    version = "SELECT ctid::text FROM generation_terms WHERE generation_id = :id"
    before = await books.sql(version, id=generation_id)
    await books.sql(
        "UPDATE generations SET checked_at = now(), moved_at = now() WHERE id = :id", id=generation_id
    )
    assert await books.sql(version, id=generation_id) == before


async def test_generations_from_before_are_filled_in_and_no_deleted_one(
    books: PostgresBooks, tenant_id: str
) -> None:
    kept, deleted, _ = [await add(books, tenant_id) for _ in range(3)]
    await PostgresErasure(books.database).delete_generation(tenant_id, deleted, by=SYSTEM)
    await books.sql("DELETE FROM generation_terms WHERE generation_id <> :id", id=kept)
    assert await found(books, tenant_id) == [1, 1, 1]
    for _ in range(2):
        await fill_terms(books.database)
        assert await found(books, tenant_id) == [2, 2, 2]
        assert len(await terms(books, tenant_id)) == 2


async def test_what_is_deleted_while_it_is_filled_in_is_not_found(
    books: PostgresBooks, tenant_id: str
) -> None:
    """Read before the delete is committed, and written after it, its words would stay for ever."""
    generation_id = await add(books, tenant_id)
    await books.sql("DELETE FROM generation_terms WHERE generation_id = :id", id=generation_id)
    async with books.database.begin() as session, asyncio.TaskGroup() as tasks, asyncio.timeout(scaled(20)):
        await session.execute(
            text("UPDATE generations SET deleted_at = now() WHERE id = :id"), {"id": generation_id}
        )
        filling = tasks.create_task(fill_terms(books.database))

        async def waits_or_is_done() -> bool:
            waiting = "SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
            return filling.done() or len(await books.sql(waiting)) > 0

        await eventually(waits_or_is_done)
        await session.commit()
    assert await terms(books, tenant_id) == []
    assert (await books.read(generation_id)).status is Status.CANCELED
