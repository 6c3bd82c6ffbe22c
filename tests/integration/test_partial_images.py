"""Which generations have partial images: told of while they are open, looked for once they have ended."""

from datetime import timedelta

import pytest

from adapters.database.engine import Database
from adapters.database.erasure import PostgresErasure, request_erasure
from adapters.database.ledger import PostgresLedger
from adapters.database.partial_images import PostgresPartialImages
from domain.generation import Status, TerminalState
from domain.partial_images import PartialImage
from domain.ports import PartialImageOwner
from tests.integration.erasable import OPERATOR, Subject
from tests.integration.test_erasure import finish, is_erased
from tests.support.books import PostgresBooks
from tests.support.requests import new_id

IMAGE = PartialImage(0, 1, 64, 64, "image/png", 100)
NOW, LONG_AGO = timedelta(0), timedelta(hours=1)


@pytest.fixture
async def subject(database: Database, books: PostgresBooks) -> Subject:
    return Subject(database, books, PostgresErasure(database), await books.tenant(100), new_id("canary"))


async def told(subject: Subject, generation_id: str) -> int:
    query = "SELECT 1 FROM events WHERE generation_id = :id AND type = 'image.partial'"
    return len(await subject.books.sql(query, id=generation_id))


async def found(partial_images: PostgresPartialImages, age: timedelta, generation_id: str) -> bool:
    owners = await partial_images.list_to_delete(age, 1000)
    return generation_id in [owner.generation_id for owner in owners]


async def test_they_are_looked_for_once_their_generation_has_ended(subject: Subject) -> None:
    partial_images = PostgresPartialImages(subject.database)
    generation_id = await subject.generation(end=False)

    for _ in range(2):
        owner = await partial_images.expect_partial_images(generation_id)
        assert owner == PartialImageOwner(subject.tenant_id, generation_id)
    await partial_images.record(generation_id, IMAGE)
    assert await told(subject, generation_id) == 1
    assert not await found(partial_images, NOW, generation_id)

    await PostgresLedger(subject.database).refund(generation_id, TerminalState(Status.CANCELED))
    assert await found(partial_images, NOW, generation_id)
    assert not await found(partial_images, LONG_AGO, generation_id)
    await partial_images.mark_deleted(generation_id)
    assert not await found(partial_images, NOW, generation_id)


async def test_nothing_is_told_or_put_after_the_end(subject: Subject) -> None:
    partial_images = PostgresPartialImages(subject.database)
    generation_id = await subject.generation()

    assert await partial_images.expect_partial_images(generation_id) is None
    assert await partial_images.expect_partial_images("gen_nothing") is None
    await partial_images.record(generation_id, IMAGE)
    assert await told(subject, generation_id) == 0
    assert not await found(partial_images, NOW, generation_id)


async def test_a_tenant_is_not_erased_before_them(subject: Subject) -> None:
    partial_images = PostgresPartialImages(subject.database)
    generation_id = await subject.generation(end=False)
    await partial_images.expect_partial_images(generation_id)
    await PostgresLedger(subject.database).refund(generation_id, TerminalState(Status.CANCELED))
    await subject.books.sql(
        "UPDATE generations SET objects_deleted_at = now() WHERE id = :id", id=generation_id
    )
    await request_erasure(subject.database, subject.tenant_id, by=OPERATOR)

    await finish(subject)
    assert not await is_erased(subject)
    await partial_images.mark_deleted(generation_id)
    await finish(subject)
    assert await is_erased(subject)
