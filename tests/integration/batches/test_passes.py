"""Passes over a batch on the real database: what is begun, what waits, what fails alone."""

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from activities.batch_passes import Pace
from adapters.database.batch_runs import PostgresBatchRuns
from adapters.database.engine import Database
from adapters.database.input_files import PostgresInputFiles
from adapters.database.tenants import PostgresTenants
from domain.audit import SYSTEM
from domain.batch_runs import BatchReport
from domain.batches import BatchCounts, BatchStatus, ItemStatus
from domain.errors import TemporalUnavailable
from domain.fingerprints import fingerprint
from domain.generation import GenerationInput, Status
from domain.input_files import ImageFacts
from tests.integration.batches.passing import Site
from tests.support.batches import LIMITS, item, items
from tests.support.books import PostgresBooks
from tests.support.requests import new_id, request
from tests.support.webhook_sending import KEYRING

pytestmark = pytest.mark.needs_servers
IMAGE = ImageFacts(100, 100, "image/png", 400, "ab" * 32)


@pytest.fixture
def site(database: Database, books: PostgresBooks) -> Site:
    return Site(database, books)


async def test_what_is_begun_is_an_ordinary_generation(site: Site) -> None:
    await site.post(*items(2), concurrency=1)
    assert await site.advance() == BatchReport(has_ended=False, has_moved=True)
    [started] = site.workflows.started
    generation = await site.books.read(started.generation_id)
    assert (generation.batch_id, generation.request.prompt) == (site.batch.id, "fox 0")
    assert generation.request.controls.api_key_id == site.draft.api_key_id
    assert (started.model, started.provider, generation.status) == ("maker", "fal", Status.CREATED)
    assert await site.advance() == BatchReport(has_ended=False)
    assert len(site.workflows.started) == 1


async def test_it_goes_on_as_generations_end(site: Site) -> None:
    await site.post(*items(5), concurrency=2)
    for begun in (2, 4, 5):
        await site.advance()
        assert len(site.workflows.started) == begun
        await site.end_all()
    assert (await site.advance()).has_ended
    batch = await site.read()
    assert (batch.status, batch.counts) == (BatchStatus.COMPLETED, BatchCounts(total=5, failed=5))
    assert await site.advance() == BatchReport(has_ended=True, has_moved=True)


async def test_a_look_reads_few_of_the_items_that_wait(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each may be large."""
    read: list[int] = []
    listing = PostgresBatchRuns.list_waiting_items

    async def noted(runs: PostgresBatchRuns, batch_id: str, limit: int, *, after: int = -1) -> Any:
        found = await listing(runs, batch_id, limit, after=after)
        read.append(len(found))
        return found

    monkeypatch.setattr(PostgresBatchRuns, "list_waiting_items", noted)
    await site.post(*[item(index, model="gone") for index in range(12)], *items(40)[12:], concurrency=15)
    await site.advance()
    assert (await site.read()).counts == BatchCounts(total=40, failed=12, in_progress=15, waiting=13)
    assert read == [10, 10, 10]


async def test_passes_at_once_begin_each_item_once(site: Site) -> None:
    await site.post(*items(30), concurrency=12)
    await asyncio.gather(*(site.advance() for _ in range(6)))
    started = [each.generation_id for each in site.workflows.started]
    assert len(started) == len(set(started)) == 12
    assert (await site.read()).counts == BatchCounts(total=30, waiting=18, in_progress=12)


async def test_one_item_that_cannot_be_made_fails_alone(site: Site) -> None:
    gone = item(1, model="gone")
    off = item(2, model="unreachable")
    without_file = item(3, model="painter", inputs=(new_id("file"),))
    wrong = item(4, prompt="longer than this model takes")
    await site.post(item(0), gone, off, without_file, wrong, item(5))
    await site.advance()
    found = {each.index: each for each in await site.items()}
    assert {index: each.status for index, each in found.items()} == {
        0: ItemStatus.IN_PROGRESS,
        1: ItemStatus.FAILED,
        2: ItemStatus.FAILED,
        3: ItemStatus.FAILED,
        4: ItemStatus.FAILED,
        5: ItemStatus.IN_PROGRESS,
    }
    assert [found[index].error_code for index in (1, 2, 3)] == [
        "model_not_found",
        "model_unavailable",
        "file_not_found",
    ]
    assert (found[4].error_code, found[4].error_text) == ("invalid_input", "prompt: 1 to 20 characters")
    rows = await site.books.sql(
        "SELECT count(request) AS kept FROM batch_items WHERE batch_id = :id", id=site.batch.id
    )
    assert rows == [(0,)]


async def test_the_price_is_the_one_that_was_accepted(site: Site) -> None:
    await site.post(replace(item(0), price_credits=1))
    await site.advance()
    generation = await site.books.read(site.workflows.started[0].generation_id)
    assert generation.request.price_credits == 1


async def test_images_of_items_are_stored_files(site: Site) -> None:
    tenant_id, file_id = await site.books.tenant(), new_id("file")
    await PostgresInputFiles(site.database).add_file(tenant_id, file_id, file_id, IMAGE)
    await site.post(item(0, model="painter", inputs=(file_id,)), tenant_id=tenant_id)
    await site.advance()
    generation = await site.books.read(site.workflows.started[0].generation_id)
    assert generation.request.inputs == (file_id,)


async def test_a_key_finds_its_generation_or_is_refused(site: Site) -> None:
    tenant_id = await site.books.tenant()
    same, other = item(0, key="one"), item(1, key="two")
    made = {}
    for key, asked in (("one", same.request.digest()), ("two", "another request")):
        sealed = fingerprint(KEYRING, asked)
        made[key], _ = await site.books.generations.create(tenant_id, request(), key, sealed)
    await site.post(same, other, item(2, key="three"), tenant_id=tenant_id)
    await site.advance()
    first, second, third = await site.items()
    assert first.generation is not None
    assert (first.generation.id, first.is_attached) == (made["one"].id, True)
    assert (second.status, second.error_code) == (ItemStatus.FAILED, "idempotency_key_reused")
    assert third.generation is not None
    assert (third.generation.batch_id, third.is_attached) == (site.batch.id, False)
    assert len(site.workflows.started) == 1
    found = await site.books.generations.find_by_key(tenant_id, "three")
    assert found is not None
    assert found[0].id == third.generation.id


@pytest.mark.parametrize(
    "limits",
    [
        replace(LIMITS, max_open_generations=2),
        replace(LIMITS, max_waiting_generations=2),
        replace(LIMITS, max_batch_concurrency=2),
    ],
)
async def test_limits_make_it_wait(site: Site, limits: object) -> None:
    site.limits = limits  # type: ignore[assignment]  # of the parameters above
    await site.post(*items(5))
    await site.advance()
    assert not (await site.advance()).has_moved
    assert (await site.read()).counts == BatchCounts(total=5, waiting=3, in_progress=2)
    await site.end_all()
    await site.advance()
    assert len(site.workflows.started) == 4


async def test_a_keys_cap_makes_it_wait_but_for_what_never_fits(site: Site) -> None:
    await site.post(*items(5))
    cap = "UPDATE api_keys SET max_held_credits = :cap WHERE id = :id"
    await site.books.sql(cap, cap=7, id=site.draft.api_key_id)
    await site.advance()
    await site.advance()
    assert len(site.workflows.started) == 2
    await site.end_all()
    await site.books.sql(cap, cap=2, id=site.draft.api_key_id)
    await site.advance()
    assert len(site.workflows.started) == 3  # its generation is refused, and says so


async def test_a_cancel_ends_what_waits_and_asks_what_runs_to_end(site: Site) -> None:
    await site.post(*items(6), concurrency=2)
    await site.advance()
    await site.batches.record_batch_cancel(site.draft.tenant_id, site.batch.id)
    assert await site.advance() == BatchReport(has_ended=False, has_moved=True)
    assert sorted(site.workflows.canceled) == sorted(each.generation_id for each in site.workflows.started)
    assert len(site.workflows.started) == 2
    await site.end_all()
    assert (await site.advance()).has_ended
    batch = await site.read()
    assert batch.status is BatchStatus.CANCELED
    assert batch.counts == BatchCounts(total=6, failed=2, canceled=4)


async def test_what_runs_is_asked_to_end_before_all_that_waits_has(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may be charged meanwhile."""

    async def long(*_: object) -> int:
        raise TimeoutError

    await site.post(*items(6), concurrency=2)
    await site.advance()
    await site.batches.record_batch_cancel(site.draft.tenant_id, site.batch.id)
    monkeypatch.setattr(PostgresBatchRuns, "cancel_items", long)
    with pytest.raises(TimeoutError):
        await site.advance()
    assert len(site.workflows.canceled) == 2


@pytest.mark.parametrize("reason", ["tenant_suspended", "key_not_valid", "expired"])
async def test_nothing_more_is_made_for_whom_it_may_not(site: Site, reason: str) -> None:
    await site.post(*items(4), concurrency=1)
    await site.advance()
    if reason == "tenant_suspended":
        await PostgresTenants(site.database).suspend(site.draft.tenant_id, by=SYSTEM)
    else:
        end = {
            "key_not_valid": "UPDATE api_keys SET revoked_at = now() WHERE id = :id",
            "expired": "UPDATE api_keys SET expires_at = now() WHERE id = :id",
        }
        await site.books.sql(end[reason], id=site.draft.api_key_id)
    await site.end_all()
    while not (await site.advance()).has_ended:
        pass
    batch = await site.read()
    code = "tenant_suspended" if reason == "tenant_suspended" else "key_not_valid"
    assert (batch.status, batch.error_code) == (BatchStatus.CANCELED, code)
    assert batch.counts == BatchCounts(total=4, failed=1, canceled=3)
    assert {each.error_code for each in await site.items() if each.generation is None} == {code}


async def test_what_temporal_does_not_take_starts_later(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    async def away(generation: GenerationInput, title: str) -> None:
        raise TemporalUnavailable

    monkeypatch.setattr(site.workflows, "start_workflow", away)
    await site.post(*items(3))
    assert (await site.advance()).has_moved
    assert (await site.read()).counts == BatchCounts(total=3, in_progress=3)


async def test_a_pass_goes_on_while_there_is_time(site: Site) -> None:
    await site.post(*items(6), concurrency=2)
    pace = Pace(pass_seconds=60, first_pause_seconds=0.01, max_pause_seconds=0.02)
    passing = asyncio.create_task(site.advance(pace))
    while not passing.done():
        await site.end_all()
        await asyncio.sleep(0.01)
    assert (await passing).has_ended
    assert len(site.workflows.started) == 6
