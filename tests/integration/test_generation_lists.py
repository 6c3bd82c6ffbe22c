"""Lists of generations by every filter and in every order, compared with lists that Python makes."""

import asyncio
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import product
from typing import Any

import asyncpg
import pytest
from sqlalchemy import Executable, Row, text

from adapters.database.engine import Database
from adapters.database.generation_list_sql import Budget
from adapters.database.generation_lists import GenerationLists, fill_terms
from domain.generation import Generation, Status
from domain.listing import GenerationFilter, ListOrder, ListPosition, SortKey, sort_value
from tests.support.books import PostgresBooks
from tests.support.requests import new_id, request
from tests.support.time_limits import scaled

# How a list is read: few candidates that are sorted, or an index that is walked, a little at a time.
BUDGETS = {"sorted": Budget(), "walked": Budget(max_candidates=0, max_walked=5, max_page=4, max_statements=3)}
FIRST = datetime(2026, 1, 15, 12, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
COUNT = 60
# Every trigger is off, as for rows of a version without lists by words.
FILL = """
SET LOCAL session_replication_role = replica;
INSERT INTO generations (id, tenant_id, fingerprint, model, provider, endpoint, prompt, parameters, metadata,
    n, price_credits, held_credits, charged_credits, status, stage, created_at, finished_at, error_code,
    deleted_at)
SELECT 'TENANT_' || n, 'TENANT', 'f', CASE n % 3 WHEN 0 THEN 'flux-dev' WHEN 1 THEN 'flux-pro' ELSE 'gpt' END,
    CASE WHEN n % 3 = 2 THEN 'openai' ELSE 'fal' END, 'e',
    CASE n % 4 WHEN 0 THEN 'A fox, & the SNOW!' WHEN 1 THEN 'the night' ELSE 'Snow at night' END, '{}',
    jsonb_build_object('user', 'u' || n % 5, 'part ' || n % 2, 'Fox/wolf'), 1, 9, 9,
    CASE WHEN status = 'completed' THEN n % 4 ELSE 0 END, status, status,
    'FIRST'::timestamptz + make_interval(mins => n / 2),
    CASE WHEN status <> 'created'
        THEN 'FIRST'::timestamptz + make_interval(mins => n / 2, secs => 7 * n % 10) END,
    CASE WHEN status = 'failed' THEN 'provider_failed' END, CASE WHEN n % 10 = 9 THEN now() END
FROM (SELECT n, (ARRAY['created', 'failed', 'completed', 'completed', 'canceled'])[1 + n % 5] AS status
    FROM generate_series(0, COUNT - 1) AS n) AS made
"""
FILTERS = (
    GenerationFilter(),
    GenerationFilter(status=Status.COMPLETED),
    GenerationFilter(status=Status.FAILED, model="flux-dev"),
    GenerationFilter(status=Status.CREATED),
    GenerationFilter(model="gpt"),
    GenerationFilter(provider="fal"),
    GenerationFilter(model="gpt", provider="fal"),
    GenerationFilter(model="gpt", provider="openai", status=Status.COMPLETED),
    GenerationFilter(metadata={"user": "u2"}),
    GenerationFilter(metadata={"user": "u2", "part 0": "Fox/wolf"}),
    GenerationFilter(metadata={"user": "U2"}),
    GenerationFilter(metadata={"part 1": "fox"}),
    GenerationFilter(q="snow"),
    GenerationFilter(q="NIGHT wolf"),
    GenerationFilter(q="fox the", model="flux-pro"),
    GenerationFilter(q="ox"),
    GenerationFilter(created_after=FIRST + 5 * MINUTE, created_before=FIRST + 20 * MINUTE),
    GenerationFilter(created_after=FIRST + 5 * MINUTE, model="gpt", q="night"),
    GenerationFilter(created_before=FIRST),
)


@pytest.fixture(scope="module")
async def tenants(database: Database, database_url: str) -> tuple[str, str]:
    """Return two tenants that have the same generations."""
    books, connection = PostgresBooks(database), await asyncpg.connect(database_url, timeout=scaled(10))
    try:
        first, second = await books.tenant(), await books.tenant()
        for tenant_id in (first, second):
            script = FILL.replace("TENANT", tenant_id).replace("FIRST", FIRST.isoformat())
            await connection.execute(f"BEGIN; {script.replace('COUNT', str(COUNT))}; COMMIT")
    finally:
        await connection.close(timeout=scaled(10))
    await fill_terms(database)
    return first, second


def matches(wanted: GenerationFilter, order: ListOrder) -> Callable[[Generation], bool]:
    """Return the filter, written again in Python."""

    def is_wanted(job: Generation) -> bool:
        texts = " ".join([job.request.prompt, *job.request.metadata.values()])
        words = set(re.findall(r"\w+", texts.lower()))
        return (
            wanted.status in (None, job.status)
            and wanted.model in (None, job.request.model)
            and wanted.provider in (None, job.request.provider)
            and wanted.metadata.items() <= job.request.metadata.items()
            and (wanted.created_after is None or job.created_at >= wanted.created_after)
            and (wanted.created_before is None or job.created_at < wanted.created_before)
            and set((wanted.q or "").lower().split()) <= words
            and (order.key is SortKey.CREATED_AT or job.status.is_terminal)
        )

    return is_wanted


@pytest.mark.parametrize("budget", BUDGETS)
@pytest.mark.parametrize("order", ListOrder)
async def test_every_list_has_what_matches_in_its_order(
    database: Database, tenants: tuple[str, str], order: ListOrder, budget: str
) -> None:
    books, lists = PostgresBooks(database), GenerationLists(database, BUDGETS[budget])
    everything = [await books.read(f"{tenants[0]}_{number}") for number in range(COUNT)]
    shown = [job for job in everything if job.deleted_at is None]
    assert len(shown) == COUNT * 9 // 10
    for wanted, limit in product(FILTERS, (1, 7, 100)):
        expected = sorted(
            filter(matches(wanted, order), shown),
            key=lambda job: (sort_value(job, order.key), job.id),
            reverse=order.is_descending,
        )
        found: list[Generation] = []
        after: ListPosition | None = None
        for _ in range(2 * COUNT):
            page = await lists.read(tenants[0], wanted, order, after, limit)
            assert len(page.generations) <= limit
            found += page.generations
            after = page.next
            if after is None:
                break
        assert [job.id for job in found] == [job.id for job in expected], (wanted, limit)
        # A list is read without attempts, of which none was made.
        assert [replace(job, attempts=()) for job in found] == expected


async def test_the_filters_tell_generations_apart(database: Database, tenants: tuple[str, str]) -> None:
    """Only those filters that are meant to be are passed by everything or by nothing."""
    books = PostgresBooks(database)
    counts = [len(await books.listed(tenants[0], wanted)) for wanted in FILTERS]
    assert [index for index, count in enumerate(counts) if count in (0, COUNT * 9 // 10)] == [
        *(0, 6, 10, 11, 15),
        len(FILTERS) - 1,
    ]


async def test_a_short_page_says_where_the_list_continues(
    database: Database, tenants: tuple[str, str]
) -> None:
    """Of what is walked, nothing matches: the page is empty, and not the last."""
    lists = GenerationLists(database, Budget(max_candidates=0, max_walked=3, max_statements=1))
    wanted = GenerationFilter(metadata={"user": "u0"})
    page = await lists.read(tenants[0], wanted, ListOrder.NEWEST, None, 10)
    assert page.generations == []
    assert page.next is not None
    assert page.next.id == f"{tenants[0]}_{COUNT - 4}", "the newest is deleted"


@pytest.mark.parametrize("order", [ListOrder.NEWEST, ListOrder.OLDEST])
async def test_no_generation_is_listed_twice_or_missed_while_others_are_added(
    books: PostgresBooks, order: ListOrder
) -> None:
    tenant_id = await books.tenant()
    before = [await books.add(tenant_id) for _ in range(7)]
    found: list[str] = []
    after: ListPosition | None = None
    added: list[str] = []
    while after is not None or not found:
        page = await books.generations.list_generations(
            tenant_id, GenerationFilter(model="flux-schnell"), order, after=after, limit=2
        )
        found += [job.id for job in page.generations]
        after = page.next
        if len(added) < 3:
            added.append(await books.add(tenant_id))

    is_tail = order is ListOrder.OLDEST
    assert found == [*before, *added] if is_tail else found == before[::-1]


class Watched(Database):
    """A database that tells when something was read from it."""

    def __init__(self, url: str, *, pool_size: int) -> None:
        super().__init__(url, pool_size=pool_size)
        self.has_read = asyncio.Event()

    async def call(self, statement: Executable, values: Mapping[str, Any]) -> Sequence[Row[Any]]:
        rows = await super().call(statement, values)
        self.has_read.set()
        return rows


async def test_a_list_that_goes_forward_does_not_pass_one_that_is_still_being_created(
    books: PostgresBooks, serving_url: str
) -> None:
    """The first of them is the last to be committed; a page that ended between the others would miss it."""
    tenant_id = await books.tenant()
    copy = (
        "INSERT INTO generations (id, tenant_id, fingerprint, model, provider, endpoint, prompt, parameters,"
        " metadata, n, price_credits, status, stage) SELECT :id, tenant_id, fingerprint, model, provider,"
        " endpoint, prompt, parameters, metadata, n, price_credits, status, stage FROM generations"
        " WHERE id = :of"
    )
    model, early = await books.add(tenant_id), new_id("gen")
    async with books.database.begin() as session:
        await session.execute(text(copy), {"id": early, "of": model})
        later = [await books.add(tenant_id) for _ in range(3)]
        watched = Watched(serving_url, pool_size=1)
        lists = GenerationLists(watched, settled=timedelta(seconds=scaled(3)))
        reading = asyncio.create_task(lists.read(tenant_id, GenerationFilter(), ListOrder.OLDEST, None, 2))
        await asyncio.wait_for(watched.has_read.wait(), scaled(20))
        await session.commit()
    first = await reading
    rest = await lists.read(tenant_id, GenerationFilter(), ListOrder.OLDEST, first.next, 100)
    await watched.close()

    assert [job.id for job in (*first.generations, *rest.generations)] == [model, early, *later]


async def test_the_generation_at_which_a_list_continues_may_be_deleted(books: PostgresBooks) -> None:
    tenant_id = await books.tenant()
    ids = [await books.add(tenant_id) for _ in range(4)]
    first = await books.generations.list_generations(
        tenant_id, GenerationFilter(), ListOrder.OLDEST, after=None, limit=2
    )
    await books.sql("UPDATE generations SET deleted_at = now() WHERE id = :id", id=ids[1])
    rest = await books.generations.list_generations(
        tenant_id, GenerationFilter(), ListOrder.OLDEST, after=first.next, limit=2
    )
    assert [job.id for job in (*first.generations, *rest.generations)] == ids


@pytest.mark.parametrize("q", ["", " ", "?!", "\u2014"])
async def test_a_search_without_words_leaves_nothing_out(books: PostgresBooks, q: str) -> None:
    tenant_id = await books.tenant()
    jobs = [await books.add(tenant_id) for _ in range(2)]
    assert [job.id for job in await books.listed(tenant_id, GenerationFilter(q=q))] == jobs[::-1]
    assert len(await books.listed(tenant_id, GenerationFilter(q=q, model="flux-schnell"))) == 2
    assert await books.listed(tenant_id, GenerationFilter(q=q, metadata={"a": "b"})) == []


async def test_every_word_of_a_search_must_be_there(books: PostgresBooks) -> None:
    tenant_id = await books.tenant()
    words = [f"w{number}" for number in range(60)]
    job = await books.add(tenant_id, request(" ".join(words)))
    found = await books.listed(tenant_id, GenerationFilter(q=" ".join(words[:40])))
    assert [each.id for each in found] == [job]
    assert await books.listed(tenant_id, GenerationFilter(q=" ".join([*words[:40], "w60"]))) == []


async def test_a_tenant_with_nothing_lists_nothing(books: PostgresBooks, tenants: tuple[str, str]) -> None:
    """The same words, model and metadata are another tenant's only."""
    stranger = await books.tenant()
    for wanted, order in product(FILTERS, ListOrder):
        assert await books.listed(stranger, wanted, order) == []
    assert await books.listed(new_id("ten"), GenerationFilter(q="snow")) == []
