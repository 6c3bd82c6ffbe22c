"""The log tells of every change, in an order that no reader sees change."""

import asyncio

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from adapters.database.attempts import PostgresAttempts
from adapters.database.credits import PostgresCreditAccounts
from adapters.database.engine import Database
from adapters.database.events import PostgresEventLog
from adapters.database.inbox import PostgresInbox
from adapters.database.ledger import PostgresLedger
from domain.audit import Actor
from domain.errors import DatabaseUnavailable
from domain.events import Event, EventPosition, EventType
from domain.generation import Status, TerminalState
from domain.provider import AttemptRef, JobStatus, ProviderEvent, ProviderJob, ProviderResult
from tests.support.books import PostgresBooks, images
from tests.support.requests import request

_WRITE = "SELECT write_event(:tenant, NULL, 'credits.granted', '{}')"
_ALL = 1000
_PROMPT = "a prompt that nobody else may read"


@pytest.fixture
def log(database: Database) -> PostgresEventLog:
    return PostgresEventLog(database)


async def of_generation(log: PostgresEventLog, tenant_id: str, generation_id: str) -> list[Event]:
    return list(await log.list_of_generation(tenant_id, generation_id, after=0, limit=_ALL))


async def completed(books: PostgresBooks, tenant_id: str) -> str:
    """Take a generation through its life, with a webhook that comes twice."""
    generation_id = await books.add(tenant_id, request(prompt=_PROMPT, price_credits=4))
    ref, ledger, attempts = (
        AttemptRef(generation_id),
        PostgresLedger(books.database),
        PostgresAttempts(books.database),
    )
    await ledger.reserve(generation_id, tenant_id)
    await attempts.begin_submit(ref)
    await attempts.record_accepted(ref, ProviderJob("job-1", {}))
    event = ProviderEvent(f"event of {generation_id}", "job-1", ProviderResult(JobStatus.SUCCEEDED))
    for _ in range(2):
        await PostgresInbox(books.database).record_event("fal", ref, event)
    await ledger.complete(generation_id, images(generation_id), tenant_id=tenant_id)
    return generation_id


async def test_a_life_is_told_from_its_beginning_to_its_end(
    books: PostgresBooks, log: PostgresEventLog
) -> None:
    tenant_id = await books.tenant(10)
    generation_id = await completed(books, tenant_id)
    events = await of_generation(log, tenant_id, generation_id)
    assert [event.number for event in events] == list(range(1, len(events) + 1))
    assert [event.type for event in events] == [
        EventType.GENERATION_CREATED,
        EventType.GENERATION_QUEUED,
        EventType.CREDITS_HELD,
        EventType.ATTEMPT_STARTED,
        EventType.GENERATION_STAGE_CHANGED,
        EventType.ATTEMPT_ACCEPTED,
        EventType.GENERATION_PROCESSING,
        EventType.ATTEMPT_WEBHOOK_RECEIVED,
        EventType.ATTEMPT_SUCCEEDED,
        EventType.ATTEMPT_WEBHOOK_RECEIVED,
        EventType.IMAGES_STORED,
        EventType.CREDITS_SETTLED,
        EventType.GENERATION_COMPLETED,
    ]
    assert events[-1].data["charged_credits"] == 4
    assert events[9].data["repeated"]
    assert not any(_PROMPT in str(event.data) for event in events)


async def test_a_refund_is_told_before_the_end(books: PostgresBooks, log: PostgresEventLog) -> None:
    tenant_id = await books.tenant(10)
    generation_id = await books.add(tenant_id, request(price_credits=4))
    ledger = PostgresLedger(books.database)
    await ledger.reserve(generation_id, tenant_id)
    await books.cancel(generation_id)
    await ledger.refund(generation_id, TerminalState(Status.CANCELED))
    *_, asked, refunded, ended = await of_generation(log, tenant_id, generation_id)
    assert asked.type is EventType.GENERATION_CANCEL_REQUESTED
    assert refunded.type is EventType.CREDITS_REFUNDED
    assert ended.type is EventType.GENERATION_CANCELED
    assert (ended.data["refunded_credits"], ended.data["canceled_by"]) == (4, "client")


async def test_grants_belong_to_the_tenant_alone(books: PostgresBooks, log: PostgresEventLog) -> None:
    tenant_id = await books.tenant(10)
    await PostgresCreditAccounts(books.database).withdraw(tenant_id, 3, "back", by=Actor("operator"))
    granted, withdrawn = await log.list_of_tenant(tenant_id, after=None, limit=_ALL)
    assert granted.type is EventType.CREDITS_GRANTED
    assert withdrawn.type is EventType.CREDITS_WITHDRAWN
    assert withdrawn.data["amount_credits"] == 3
    assert (withdrawn.generation_id, withdrawn.number) == (None, None)


async def test_another_tenants_events_are_not_found(books: PostgresBooks, log: PostgresEventLog) -> None:
    owner, stranger = await books.tenant(), await books.tenant()
    generation_id = await books.add(owner)
    assert await of_generation(log, stranger, generation_id) == []
    [event] = await of_generation(log, owner, generation_id)
    assert await log.find_event(owner, event.position) == event
    assert await log.find_event(stranger, event.position) is None


async def test_an_early_insert_that_commits_late_is_not_passed_over(
    books: PostgresBooks, log: PostgresEventLog, database: Database
) -> None:
    """Its id is smaller than those of events that were committed before it, and were read."""
    tenant_id = await books.tenant()
    seen = await log.snapshot()
    async with database.begin() as session:
        await session.execute(text(_WRITE), {"tenant": tenant_id})
        for _ in range(3):
            await books.sql(_WRITE, tenant=tenant_id)
        # Later ones are seen at once by who waits for one job, and not by who reads all in order.
        tail = await log.read_new(seen, EventPosition(0, 0), _ALL)
        assert sum(event.tenant_id == tenant_id for event in tail.events) == 3
        assert await log.list_of_tenant(tenant_id, after=None, limit=_ALL) == []
    events = await log.list_of_tenant(tenant_id, after=None, limit=_ALL)
    assert len(events) == 4
    assert [event.position for event in events] == sorted(event.position for event in events)
    assert events[0].position.id < events[1].position.id


async def test_readers_that_continue_miss_nothing_while_many_write(
    books: PostgresBooks, log: PostgresEventLog, database: Database
) -> None:
    tenant_id = await books.tenant()

    async def write(number: int) -> None:
        async with database.begin() as session:
            await session.execute(text(_WRITE), {"tenant": tenant_id})
            if number % 3 == 0:
                await session.execute(text("SELECT pg_sleep(0.02)"))

    writing = asyncio.gather(*(write(number) for number in range(60)))
    read: list[Event] = []
    while not writing.done() or len(read) < 60:
        after = read[-1].position if read else None
        found = await log.list_of_tenant(tenant_id, after=after, limit=7)
        read += found
        if writing.done() and not found and len(read) < 60:
            break
    await writing
    read += await log.list_of_tenant(tenant_id, after=read[-1].position, limit=_ALL)
    assert len({event.position for event in read}) == len(read) == 60


async def test_steps_of_one_generation_at_once_are_numbered_without_a_gap(
    books: PostgresBooks, log: PostgresEventLog
) -> None:
    tenant_id = await books.tenant(10)
    generation_id = await books.add(tenant_id, request(price_credits=1))
    ledger = PostgresLedger(books.database)
    inbox, ref = PostgresInbox(books.database), AttemptRef(generation_id)
    await ledger.reserve(generation_id, tenant_id)
    await PostgresAttempts(books.database).begin_submit(ref)
    events = [
        ProviderEvent(f"{n} of {generation_id}", "job", ProviderResult(JobStatus.RUNNING)) for n in range(20)
    ]
    await asyncio.gather(*(inbox.record_event("fal", ref, event) for event in events))
    numbers = [event.number for event in await of_generation(log, tenant_id, generation_id)]
    assert numbers == list(range(1, len(numbers) + 1))
    assert len(numbers) >= 25


async def test_a_webhook_that_is_repeated_for_ever_does_not_fill_the_log(
    books: PostgresBooks, log: PostgresEventLog
) -> None:
    tenant_id = await books.tenant(10)
    generation_id = await books.add(tenant_id)
    event = ProviderEvent(f"event of {generation_id}", "job", ProviderResult(JobStatus.RUNNING))
    for _ in range(40):
        await PostgresInbox(books.database).record_event("fal", AttemptRef(generation_id), event)
    assert len(await of_generation(log, tenant_id, generation_id)) == 11


async def test_nobody_changes_an_event(books: PostgresBooks, owners_books: PostgresBooks) -> None:
    tenant_id = await books.tenant(10)
    for rows in (books, owners_books):
        with pytest.raises(DBAPIError):
            await rows.sql("UPDATE events SET type = 'other' WHERE tenant_id = :tenant", tenant=tenant_id)


async def test_old_events_go_and_numbers_continue(
    books: PostgresBooks, owners_books: PostgresBooks, log: PostgresEventLog
) -> None:
    tenant_id = await books.tenant(10)
    generation_id = await books.add(tenant_id, request(price_credits=4))
    await PostgresLedger(books.database).reserve(generation_id, tenant_id)
    before = await of_generation(log, tenant_id, generation_id)
    [(moment,)] = await books.sql("SELECT clock_timestamp()")
    kept = await books.add(tenant_id)
    while await books.sql("SELECT purge_events(:before, 100)", before=moment) != [(0,)]:
        pass
    assert await of_generation(log, tenant_id, generation_id) == []
    assert await log.find_event(tenant_id, before[0].position) is None
    assert len(await of_generation(log, tenant_id, kept)) == 1
    await books.cancel(generation_id)
    [event] = await of_generation(log, tenant_id, generation_id)
    assert event.number == len(before) + 1


async def test_events_of_a_restored_dump_come_before_new_ones(
    books: PostgresBooks, owners_books: PostgresBooks, log: PostgresEventLog
) -> None:
    """Another server counts its transactions from another number, which may be far behind the dump's."""
    tenant_id = await books.tenant()
    await owners_books.sql(
        "INSERT INTO events (transaction_id, tenant_id, type, data)"
        " SELECT 900000000000 + n, :tenant, 'credits.granted', '{}' FROM generate_series(1, 3) AS n",
        tenant=tenant_id,
    )
    assert await log.list_of_tenant(tenant_id, after=None, limit=_ALL) == []
    restored = await books.add(tenant_id)
    await owners_books.sql(
        "INSERT INTO events (transaction_id, tenant_id, generation_id, number, type, data)"
        " VALUES (900000000004, :tenant, :id, 2, 'slot.granted', '{}')",
        tenant=tenant_id,
        id=restored,
    )
    await books.cancel(restored)  # nothing stops for it
    assert await owners_books.sql("SELECT rebase_events()") == [(4,)]
    await books.sql(_WRITE, tenant=tenant_id)
    events = await log.list_of_tenant(tenant_id, after=None, limit=_ALL)
    assert [event.position.transaction_id for event in events][:4] == [0, 0, 0, 0]
    assert len(events) == 7
    assert await owners_books.sql("SELECT rebase_events()") == [(0,)]


async def test_an_event_never_stands_before_one_that_it_follows(
    books: PostgresBooks, log: PostgresEventLog, database: Database
) -> None:
    """A transaction that comes to a generation after a younger one has to be tried again."""
    tenant_id = await books.tenant(10)
    first, second = await books.add(tenant_id), await books.add(tenant_id)
    with pytest.raises(DatabaseUnavailable):
        await _come_late(books, database, tenant_id, (first, second))
    events = await log.list_of_tenant(tenant_id, after=None, limit=_ALL)
    assert [event.number for event in events if event.generation_id == second] == [1, 2]


async def _come_late(
    books: PostgresBooks, database: Database, tenant_id: str, generation_ids: tuple[str, str]
) -> None:
    """Lock the first; then write to the second what follows an event of a younger transaction."""
    first, second = generation_ids
    lock = text("SELECT FROM generations WHERE id = :id FOR UPDATE")
    async with database.begin() as session:
        await session.execute(lock, {"id": first})
        await books.cancel(second)
        await session.execute(lock, {"id": second})
        write = text("SELECT write_event(:tenant, :id, 'slot.granted', '{}')")
        await session.execute(write, {"tenant": tenant_id, "id": second})
