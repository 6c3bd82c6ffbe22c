"""What is kept too long is erased: each kind after its own time, and batch by batch."""

import pytest

from adapters.database.engine import Database
from adapters.database.erasure import PostgresErasure
from adapters.database.retention import set_retention
from domain.errors import InvalidInput
from domain.retention import DataKind, Retention, read_days
from tests.integration.erasable import OPERATOR, Subject
from tests.support.books import PostgresBooks
from tests.support.requests import new_id


@pytest.fixture
async def subject(database: Database, books: PostgresBooks) -> Subject:
    tenant_id = await books.tenant(100)
    return Subject(database, books, PostgresErasure(database), tenant_id, new_id("canary"))


@pytest.mark.parametrize("kind", DataKind)
async def test_each_kind_is_kept_for_its_own_time(
    subject: Subject, owners_books: PostgresBooks, kind: DataKind
) -> None:
    old, young = await subject.generation(), await subject.generation()
    await age(owners_books, old, days=11)
    await set_retention(subject.database, subject.tenant_id, {kind: 10.0}, by=OPERATOR)

    assert await erase(subject, kind) >= 1

    for generation_id, is_erased in ((old, True), (young, False)):
        generation = await subject.books.read(generation_id)
        assert (generation.images_erased_at is not None) is (is_erased and kind is DataKind.IMAGES)
        assert (generation.content_erased_at is not None) is (is_erased and kind is DataKind.CONTENT)
        assert generation.deleted_at is None
        words = await subject.books.sql(
            "SELECT count(*) FROM attempts a WHERE generation_id = :id AND a::text LIKE :word",
            id=generation_id,
            word=f"%{subject.canary}%",
        )
        assert bool(words[0][0]) is not (is_erased and kind is DataKind.PROVIDER_DATA)
        logs = await subject.books.sql(
            "SELECT count(*) FROM attempts WHERE generation_id = :id AND progress::text LIKE :word",
            id=generation_id,
            word=f"%{subject.canary}%",
        )
        # They repeat the prompt, so they go with whatever of the two goes first.
        assert bool(logs[0][0]) is not (is_erased and kind is not DataKind.IMAGES)


async def test_what_a_tenant_says_goes_before_the_setting(
    subject: Subject, owners_books: PostgresBooks
) -> None:
    generation_id = await subject.generation()
    await age(owners_books, generation_id, days=11)
    await set_retention(subject.database, subject.tenant_id, {DataKind.CONTENT: None}, by=OPERATOR)
    await erase(subject, DataKind.CONTENT, days=10)
    assert (await subject.books.read(generation_id)).content_erased_at is None
    # A time that is shortened later counts for what has ended before.
    await set_retention(subject.database, subject.tenant_id, {DataKind.CONTENT: 5.0}, by=OPERATOR)
    await erase(subject, DataKind.CONTENT, days=10)
    assert (await subject.books.read(generation_id)).content_erased_at is not None


async def test_what_is_old_is_erased_batch_by_batch(subject: Subject, owners_books: PostgresBooks) -> None:
    ids = [await subject.generation() for _ in range(5)]
    await set_retention(subject.database, subject.tenant_id, {DataKind.CONTENT: 10.0}, by=OPERATOR)
    for number, generation_id in enumerate(ids):
        await age(owners_books, generation_id, days=20 - number)
    for _ in range(len(ids)):
        await subject.erasure.erase_due(DataKind.CONTENT, Retention({}), 2)
    read = [await subject.books.read(generation_id) for generation_id in ids]
    assert all(generation.content_erased_at is not None for generation in read)


@pytest.mark.parametrize(
    ("kind", "value"), [("castles", "1"), ("images", "-1"), ("images", "x"), ("images", "")]
)
def test_a_bad_retention_names_itself(kind: str, value: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        read_days(kind, value)
    assert [field for field, _ in caught.value.errors] == [kind]


def test_a_retention_is_read() -> None:
    assert read_days("images", "1.5") == (DataKind.IMAGES, 1.5)
    assert read_days("content", "never") == (DataKind.CONTENT, None)


async def age(owner: PostgresBooks, generation_id: str, days: int) -> None:
    """Let it have ended so many days ago, which a trigger refuses to change."""
    await owner.sql("ALTER TABLE generations DISABLE TRIGGER generations_forward")
    await owner.sql(
        "UPDATE generations SET finished_at = now() - make_interval(days => :days) WHERE id = :id",
        id=generation_id,
        days=days,
    )
    await owner.sql("ALTER TABLE generations ENABLE TRIGGER generations_forward")


async def erase(subject: Subject, kind: DataKind, days: float | None = None) -> int:
    return await subject.erasure.erase_due(kind, Retention({kind: days}), 1000)
