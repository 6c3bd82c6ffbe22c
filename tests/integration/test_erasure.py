"""What is erased of a client's data, and what the books keep: proven by words that are nowhere afterwards."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest

from adapters.database.assets import PostgresAssets
from adapters.database.attempts import PostgresAttempts
from adapters.database.audit import audit_events
from adapters.database.engine import Database
from adapters.database.erasure import PostgresErasure, request_erasure
from adapters.database.inbox import PostgresInbox
from adapters.database.input_files import PostgresInputFiles
from adapters.database.ledger import PostgresLedger
from adapters.database.reconcile_queries import PostgresReconcileQueries
from adapters.database.retention import set_retention
from adapters.database.tenants import PostgresTenants
from domain.auth import Scope
from domain.catalog import Catalog
from domain.credits import Balance
from domain.errors import (
    ContentRejected,
    FileInUse,
    FileNotFound,
    GenerationNotFound,
    InvalidInput,
    NotTerminal,
    TenantNotFound,
    Unauthenticated,
)
from domain.generation import Status, TerminalState
from domain.provider import AttemptRef, ProviderEvent, ProviderJob
from domain.retention import DataKind
from tests.integration.erasable import CLIENT, FACTS, OPERATOR, PRICE, Subject
from tests.support.books import PostgresBooks, images
from tests.support.requests import new_id, request


@pytest.fixture
async def subject(database: Database, books: PostgresBooks) -> Subject:
    tenant_id = await books.tenant(100)
    return Subject(database, books, PostgresErasure(database), tenant_id, new_id("canary"))


async def test_a_deleted_generation_leaves_the_books_and_nothing_else(subject: Subject) -> None:
    generation_id = await subject.generation()
    assert await subject.found_in() == ["attempts", "generations", "inbox"]

    for _ in range(2):
        await subject.erasure.delete_generation(subject.tenant_id, generation_id, by=CLIENT)

    # The key stays, so that a repeat of the request returns this generation and makes no other.
    assert await subject.found_in() == ["generations"]
    assert subject.canary in (await subject.key_of(generation_id) or "")
    await subject.books.sql(
        "UPDATE generations SET idempotency_key = 'k', fingerprint = 'f' WHERE id = :id", id=generation_id
    )
    assert await subject.found_in() == []
    generation = await subject.books.read(generation_id)
    assert None not in (generation.deleted_at, generation.content_erased_at, generation.images_erased_at)
    assert (generation.status, generation.charged_credits) == (Status.COMPLETED, PRICE)
    assert len(generation.images) == 1, "it was delivered"
    assert await subject.books.transfers(generation_id) == [("hold", PRICE), ("settle", PRICE)]
    assert await subject.books.balance(subject.tenant_id) == Balance(100 - PRICE, 0, PRICE)
    await subject.books.assert_consistent(subject.tenant_id)
    [cost] = await subject.books.sql(
        "SELECT cost_amount FROM attempts WHERE generation_id = :id", id=generation_id
    )
    assert cost[0] == Decimal("0.5")
    events = await audit_events(subject.database, subject.tenant_id, 10)
    deleted = [(event.actor, event.subject) for event in events if event.action == "delete_generation"]
    assert deleted == [("key:abc", generation_id)]
    assert await subject.books.listed(subject.tenant_id) == []


async def test_its_objects_are_found_by_the_reconciler(subject: Subject) -> None:
    generation_id = await subject.generation()
    queries = PostgresReconcileQueries(subject.database, Catalog({}, {}))
    assert generation_id not in await orphaned(queries)
    await subject.erasure.delete_generation(subject.tenant_id, generation_id, by=CLIENT)
    assert generation_id in await orphaned(queries)
    await queries.mark_objects_deleted(generation_id)
    assert generation_id not in await orphaned(queries)


async def orphaned(queries: PostgresReconcileQueries) -> list[str]:
    found = await queries.list_with_orphaned_objects(timedelta(0), 1000)
    return [generation.id for generation in found]


async def test_what_is_open_or_another_tenants_is_not_deleted(subject: Subject) -> None:
    open_id, ended_id = await subject.generation(end=False), await subject.generation()
    with pytest.raises(NotTerminal):
        await subject.erasure.delete_generation(subject.tenant_id, open_id, by=CLIENT)
    for generation_id in (ended_id, "gen_0"):
        with pytest.raises(GenerationNotFound):
            await subject.erasure.delete_generation(await subject.books.tenant(), generation_id, by=CLIENT)
    assert (await subject.books.read(open_id)).content_erased_at is None
    assert (await subject.books.read(ended_id)).content_erased_at is None


async def test_a_late_result_is_discarded_and_its_cost_kept(subject: Subject) -> None:
    generation_id = await subject.generation(end=False)
    failed = TerminalState(Status.FAILED, "provider_timed_out")
    await PostgresLedger(subject.database).refund(generation_id, failed)
    await subject.erasure.delete_generation(subject.tenant_id, generation_id, by=CLIENT)
    ref = AttemptRef(generation_id)
    await subject.books.sql(
        "UPDATE attempts SET cost_amount = NULL, cost_unit = NULL WHERE generation_id = :id", id=generation_id
    )

    event = ProviderEvent(new_id("event"), f"job {generation_id}", subject.result())
    await PostgresInbox(subject.database).record_event("fal", ref, event)
    await PostgresAttempts(subject.database).record_result(ref, subject.result())

    assert [table for table in await subject.found_in() if table != "generations"] == []
    rows = await subject.books.sql(
        "SELECT cost_amount FROM attempts WHERE generation_id = :id", id=generation_id
    )
    assert rows[0][0] == Decimal("0.5")


@pytest.mark.parametrize("late", ["accepted", "refused", "webhook", "poll", "image"])
async def test_nothing_late_comes_back_after_an_erasure(subject: Subject, late: str) -> None:
    generation_id = await subject.generation(submit=late == "image", end=False)
    ref, attempts = AttemptRef(generation_id), PostgresAttempts(subject.database)
    begun_at = (await attempts.begin_submit(ref)).begun_at if late != "image" else None
    assets = PostgresAssets(subject.database)
    if late == "image":
        await assets.begin_storing(ref, None)
        await PostgresLedger(subject.database).complete(generation_id, images(generation_id))
    else:
        await PostgresLedger(subject.database).refund(generation_id, TerminalState(Status.CANCELED))
    await subject.erasure.delete_generation(subject.tenant_id, generation_id, by=CLIENT)

    if late == "accepted":
        await attempts.record_accepted(ref, ProviderJob("job", {"poll": f"https://p/{subject.canary}"}))
    elif late == "refused":
        assert begun_at is not None
        await attempts.record_rejected(ref, ContentRejected(f"{subject.canary} is not allowed"), begun_at)
    elif late == "webhook":
        event = ProviderEvent(new_id("event"), "job", subject.result())
        await PostgresInbox(subject.database).record_event("fal", ref, event)
    elif late == "poll":
        await attempts.record_result(ref, subject.result())
    else:
        await assets.save_unstored(generation_id, 0, subject.canary.encode())
        again = await PostgresLedger(subject.database).complete(generation_id, images(generation_id))
        assert not again.keeps_images

    await subject.books.sql(
        "UPDATE generations SET idempotency_key = NULL, fingerprint = '' WHERE id = :id", id=generation_id
    )
    assert await subject.found_in() == []
    assert (
        await subject.books.sql("SELECT 1 FROM unstored_images WHERE generation_id = :id", id=generation_id)
        == []
    )


async def test_what_a_provider_said_does_not_come_back_after_its_time(subject: Subject) -> None:
    """Its text may be kept for a shorter time than the client's."""
    generation_id = await subject.generation(submit=False, end=False)
    await PostgresLedger(subject.database).refund(generation_id, TerminalState(Status.CANCELED))
    await subject.books.sql(
        "UPDATE generations SET provider_data_erased_at = now() WHERE id = :id", id=generation_id
    )
    event = ProviderEvent(new_id("event"), "job", subject.result())
    await PostgresInbox(subject.database).record_event("fal", AttemptRef(generation_id), event)
    assert await subject.found_in() == ["generations"]


async def test_a_tenant_is_erased_with_the_keys_of_what_its_client_had_deleted(subject: Subject) -> None:
    generation_id = await subject.generation()
    await subject.erasure.delete_generation(subject.tenant_id, generation_id, by=CLIENT)
    await subject.books.sql(
        "UPDATE generations SET objects_deleted_at = now() WHERE id = :id", id=generation_id
    )
    await request_erasure(subject.database, subject.tenant_id, by=OPERATOR)
    await finish(subject)
    assert await is_erased(subject)
    assert await subject.found_in() == []


async def test_what_is_accepted_while_its_tenant_is_erased_is_erased_too(subject: Subject) -> None:
    """A request may have passed the key's check just before."""
    await request_erasure(subject.database, subject.tenant_id, by=OPERATOR)
    late = await subject.generation(submit=False, end=False)
    files = PostgresInputFiles(subject.database)
    file = await files.add_file(subject.tenant_id, new_id("file"), new_id("key"), FACTS)
    await finish(subject)
    assert (await subject.books.read(late)).cancel_requested
    assert file.id in [each.id for each in await files.list_expired_files(10_000)]
    assert not await is_erased(subject)


async def test_a_file_that_is_deleted_meanwhile_makes_no_generation(subject: Subject) -> None:
    files, file_id = PostgresInputFiles(subject.database), new_id("file")
    await files.add_file(subject.tenant_id, file_id, f"{file_id}/a", FACTS)
    await files.use_files(subject.tenant_id, [file_id])
    await subject.erasure.expire_file(subject.tenant_id, file_id, by=CLIENT)
    with pytest.raises(FileNotFound):
        await subject.books.add(subject.tenant_id, replace(request(), inputs=(file_id,)))


async def test_an_erased_tenant_leaves_the_books(subject: Subject) -> None:
    """What is open is canceled first, and waited for."""
    tenants = PostgresTenants(subject.database)
    await subject.books.sql(
        "UPDATE tenants SET name = :word WHERE id = :id", word=subject.canary, id=subject.tenant_id
    )
    key = await tenants.create_key(subject.tenant_id, tuple(Scope), name=subject.canary)
    ended, open_id = await subject.generation(), await subject.generation(end=False)
    files = PostgresInputFiles(subject.database)
    file = await files.add_file(subject.tenant_id, new_id("file"), f"{subject.canary}/a", FACTS)

    assert await request_erasure(subject.database, subject.tenant_id, by=OPERATOR) == 1
    assert await request_erasure(subject.database, subject.tenant_id, by=OPERATOR) == 1
    with pytest.raises(Unauthenticated):
        await tenants.authenticate(key.api_key)
    with pytest.raises(InvalidInput, match="stays suspended"):
        await tenants.resume(subject.tenant_id, by=OPERATOR)
    assert (await subject.books.read(open_id)).cancel_requested

    await finish(subject)
    assert await is_erased(subject) is False, "one is open, and a file is left"
    await PostgresLedger(subject.database).refund(open_id, TerminalState(Status.CANCELED))
    await finish(subject)
    assert await is_erased(subject) is False
    # As the reconciler does.
    await files.delete_file(file.id)
    for generation_id in (ended, open_id):
        await subject.books.sql(
            "UPDATE generations SET objects_deleted_at = now() WHERE id = :id", id=generation_id
        )
    await finish(subject)

    assert await is_erased(subject)
    assert await subject.found_in() == []
    await subject.books.assert_consistent(subject.tenant_id)
    assert (await subject.books.balance(subject.tenant_id)).spent == PRICE
    events = [event.action for event in await audit_events(subject.database, subject.tenant_id, 100)]
    assert events.count("erase_tenant") == 2, "asked for, and done"


async def test_only_tenants_are_erased(database: Database) -> None:
    for attempt in (
        request_erasure(database, new_id("ten"), by=OPERATOR),
        set_retention(database, new_id("ten"), {DataKind.IMAGES: 1}, by=OPERATOR),
    ):
        with pytest.raises(TenantNotFound):
            await attempt


async def test_a_deleted_file_is_gone_at_once(subject: Subject) -> None:
    files, file_id = PostgresInputFiles(subject.database), new_id("file")
    await files.add_file(subject.tenant_id, file_id, f"{file_id}/a", FACTS)
    with pytest.raises(FileNotFound):
        await subject.erasure.expire_file(await subject.books.tenant(), file_id, by=CLIENT)
    await subject.erasure.expire_file(subject.tenant_id, file_id, by=CLIENT)
    with pytest.raises(FileNotFound):
        await files.get_file_of(subject.tenant_id, file_id)
    with pytest.raises(FileNotFound):
        await subject.erasure.expire_file(subject.tenant_id, file_id, by=CLIENT)
    assert file_id in [file.id for file in await files.list_expired_files(1000)]


async def test_a_file_that_an_open_generation_needs_is_not_deleted(subject: Subject) -> None:
    files, file_id = PostgresInputFiles(subject.database), f"file_{subject.canary}"
    await files.add_file(subject.tenant_id, file_id, f"{file_id}/a", FACTS)
    await subject.generation(end=False)
    with pytest.raises(FileInUse):
        await subject.erasure.expire_file(subject.tenant_id, file_id, by=CLIENT)
    assert (await files.get_file_of(subject.tenant_id, file_id)).id == file_id


async def finish(subject: Subject) -> None:
    for _ in range(3):
        await subject.erasure.erase_tenant_batch(subject.tenant_id, 1)


async def is_erased(subject: Subject) -> bool:
    left: Sequence[str] = await subject.erasure.list_tenants_to_erase(10_000)
    return subject.tenant_id not in left
