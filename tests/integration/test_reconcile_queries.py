"""What the reconciler finds: stuck generations, unrelayed webhooks, orphaned objects."""

from dataclasses import replace
from datetime import timedelta

import pytest

from adapters.database.assets import PostgresAssets
from adapters.database.inbox import PostgresInbox
from adapters.database.ledger import PostgresLedger
from adapters.database.reconcile_queries import PostgresReconcileQueries
from domain.catalog import Catalog
from domain.generation import Fallback, Stage, Status, TerminalState, TimingPolicy
from domain.model import Model, Price
from domain.provider import AttemptRef, JobStatus, ProviderEvent, ProviderResult
from tests.support.books import PostgresBooks
from tests.support.last_try import LastTryAttempts
from tests.support.requests import QUICK_TIMING, generation_input, new_id, request

ELSEWHERE_WAITS = replace(QUICK_TIMING, deadline_seconds=120)


def model(model_id: str, provider: str, waits: TimingPolicy) -> Model:
    return Model(
        id=model_id,
        title=model_id,
        kinds=("text_to_image",),
        provider=provider,
        endpoint=model_id,
        parameters={},
        price=Price(4),
        timing=waits,
        typical_seconds=2,
        webhook=True,
    )


CATALOG = Catalog(
    {
        "flux-schnell": model("flux-schnell", "fal", QUICK_TIMING),
        "elsewhere": model("elsewhere", "replicate", ELSEWHERE_WAITS),
    },
    {},
)
A_MINUTE = timedelta(minutes=1)
MANY = 1000


@pytest.fixture
def repairs(books: PostgresBooks) -> PostgresReconcileQueries:
    return PostgresReconcileQueries(books.database, CATALOG)


async def age(
    books: PostgresBooks, generation_id: str, column: str = "checked_at", *, hours: int = 1
) -> None:
    """Make a timestamp of the row this much older, by the database's clock."""
    await books.sql(
        f"UPDATE generations SET {column} = now() - make_interval(hours => :hours) WHERE id = :id",  # noqa: S608 - ours
        id=generation_id,
        hours=hours,
    )


async def stranded_ids(repairs: PostgresReconcileQueries, limit: int = MANY) -> list[str]:
    return [found.input.generation_id for found in await repairs.list_not_started(A_MINUTE, limit)]


async def test_a_stranded_generation_comes_with_all_its_start_needs(
    books: PostgresBooks, repairs: PostgresReconcileQueries
) -> None:
    tenant_id = await books.tenant(10)
    generation_id = await books.add(tenant_id)
    await PostgresLedger(books.database).reserve(generation_id)
    await LastTryAttempts(books.database).begin_submit(AttemptRef(generation_id))
    await age(books, generation_id)

    found = await repairs.list_stuck(A_MINUTE, MANY)

    [mine] = [stranded for stranded in found if stranded.input.generation_id == generation_id]
    assert mine.input == generation_input(generation_id, tenant_id)
    assert (mine.stage, mine.attempt) == (Stage.SUBMITTING, AttemptRef(generation_id, 1))
    assert not mine.cancel_requested


async def test_a_stranded_generation_comes_with_its_second_attempt_and_where_that_goes(
    books: PostgresBooks, repairs: PostgresReconcileQueries
) -> None:
    tenant_id = await books.tenant(10)
    fallback = replace(request(provider="replicate"), model="elsewhere")
    generation_id = await books.add(tenant_id, replace(request(), fallback=fallback))
    await PostgresLedger(books.database).reserve(generation_id)
    attempts, first, second = (
        LastTryAttempts(books.database),
        AttemptRef(generation_id),
        AttemptRef(generation_id, 2),
    )
    await attempts.begin_submit(first)
    await attempts.record_not_sent(first)
    await attempts.begin_submit(second)
    await age(books, generation_id)

    found = await repairs.list_stuck(A_MINUTE, MANY)

    [mine] = [stranded for stranded in found if stranded.input.generation_id == generation_id]
    assert mine.input == replace(
        generation_input(generation_id, tenant_id),
        fallback=Fallback("elsewhere", "replicate", ELSEWHERE_WAITS),
    )
    assert mine.attempt == second


async def test_stranded_is_what_is_open_and_old_longest_unseen_first_and_seen_once(
    books: PostgresBooks, repairs: PostgresReconcileQueries
) -> None:
    tenant_id = await books.tenant(10)
    older, old, fresh, ended = [await books.add(tenant_id) for _ in range(4)]
    await PostgresLedger(books.database).refund(ended, TerminalState(Status.CANCELED))
    for generation_id, hours in ((older, 1001), (old, 1000), (ended, 1002)):
        await age(books, generation_id, hours=hours)

    assert await stranded_ids(repairs, limit=1) == [older]
    found = await stranded_ids(repairs)
    assert found[0] == old
    assert not {older, fresh, ended} & set(found)
    assert old not in await stranded_ids(repairs)


async def test_an_unsignaled_cancel_has_a_list_of_its_own(
    books: PostgresBooks, repairs: PostgresReconcileQueries
) -> None:
    generation_id = await books.add(await books.tenant(10))
    await PostgresLedger(books.database).reserve(generation_id)
    await age(books, generation_id)
    await books.cancel(generation_id)
    found = await repairs.list_to_cancel(A_MINUTE, MANY)
    [mine] = [stranded for stranded in found if stranded.input.generation_id == generation_id]
    assert mine.cancel_requested
    assert generation_id not in {
        stuck.input.generation_id for stuck in await repairs.list_stuck(A_MINUTE, MANY)
    }


async def test_a_stage_that_lasts_too_long_is_flagged_once(
    books: PostgresBooks, repairs: PostgresReconcileQueries
) -> None:
    """Leave one longer than its model's limits in a stage, and one not so long."""
    limit_hours = QUICK_TIMING.total_seconds / 3600
    stalled, quick = [await books.add(await books.tenant()) for _ in range(2)]
    for generation_id, hours in ((stalled, limit_hours + 0.01), (quick, limit_hours / 2)):
        await books.sql(
            "UPDATE generations SET moved_at = now() - make_interval(secs => :seconds) WHERE id = :id",
            seconds=hours * 3600,
            id=generation_id,
        )
    flagged = await repairs.flag_stalled(MANY)
    assert stalled in flagged
    assert quick not in flagged
    assert (await books.read(stalled)).needs_attention == "stalled"
    assert stalled not in await repairs.flag_stalled(MANY)


async def test_unrelayed_webhooks_are_old_and_not_signaled(
    books: PostgresBooks, repairs: PostgresReconcileQueries
) -> None:
    attempt = AttemptRef(await books.add(await books.tenant()))
    inbox = PostgresInbox(books.database)
    running = ProviderResult(JobStatus.CHECK)
    kept = [
        await inbox.record_event("fal", attempt, ProviderEvent(new_id("event"), "job", running))
        for _ in range(4)
    ]
    oldest, old, fresh, told = [received.signal.inbox_id for received in kept]
    for inbox_id, hours in ((oldest, 1001), (old, 1000), (told, 1002)):
        await books.sql(
            "UPDATE inbox SET received_at = now() - make_interval(hours => :hours) WHERE id = :id",
            id=inbox_id,
            hours=hours,
        )
    await inbox.mark_relayed(told)

    assert await repairs.list_unrelayed(A_MINUTE, 2, after=oldest - 1) == [kept[0], kept[1]]
    every = {received.signal.inbox_id for received in await repairs.list_unrelayed(A_MINUTE, MANY)}
    assert not {fresh, told} & every


@pytest.mark.parametrize("way", ["begin_storing", "expect_objects"])
async def test_unswept_is_what_ended_without_images_after_storing_had_begun(
    books: PostgresBooks, repairs: PostgresReconcileQueries, way: str
) -> None:
    tenant_id = await books.tenant(20)
    ledger, assets = PostgresLedger(books.database), PostgresAssets(books.database)
    begun, never_begun, completed = [await books.add(tenant_id) for _ in range(3)]
    for generation_id in (begun, never_begun, completed):
        await ledger.reserve(generation_id)
    if way == "begin_storing":
        await assets.begin_storing(AttemptRef(begun), None)
    else:
        await assets.expect_objects(begun)
    await books.store(completed)
    await ledger.settle(completed)
    for generation_id in (begun, never_begun):
        await ledger.refund(generation_id, TerminalState(Status.CANCELED))

    assert begun not in {found.id for found in await repairs.list_with_orphaned_objects(A_MINUTE, MANY)}
    ids = {found.id for found in await repairs.list_with_orphaned_objects(timedelta(0), MANY)}
    assert begun in ids
    assert not {never_begun, completed} & ids
    await repairs.mark_objects_deleted(begun)
    assert begun not in {found.id for found in await repairs.list_with_orphaned_objects(timedelta(0), MANY)}
