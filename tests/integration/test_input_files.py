"""Records of input files in the database."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

import pytest

from adapters.database.input_files import PostgresInputFiles
from domain.errors import FileNotFound
from domain.generation import Status
from domain.input_files import ImageFacts, InputFile
from tests.support.books import PostgresBooks
from tests.support.requests import new_id, request

FACTS = ImageFacts(96, 64, "image/png", 1234, "ab" * 32, has_alpha=True)
MANY = 1000


@pytest.fixture
def files(books: PostgresBooks) -> PostgresInputFiles:
    return PostgresInputFiles(books.database)


async def added(files: PostgresInputFiles, tenant_id: str) -> InputFile:
    file_id = new_id("file")
    return await files.add_file(tenant_id, file_id, f"{tenant_id}/files/{file_id}", FACTS)


async def expire(books: PostgresBooks, *file_ids: str) -> None:
    """Set their expiry to the past, the first one's furthest."""
    for age, file_id in enumerate(reversed(file_ids)):
        await books.sql(
            "UPDATE input_files SET expires_at = now() - make_interval(secs => :age) WHERE id = :id",
            age=age,
            id=file_id,
        )


async def expired_ids(files: PostgresInputFiles, of: Sequence[str], limit: int = MANY) -> list[str]:
    return [file.id for file in await files.list_expired_files(limit) if file.id in of]


async def test_a_file_keeps_its_facts_for_a_day(books: PostgresBooks, files: PostgresInputFiles) -> None:
    tenant_id = await books.tenant()
    file = await added(files, tenant_id)

    assert (file.tenant_id, file.facts) == (tenant_id, FACTS)
    assert file.expires_at - file.created_at == timedelta(hours=24)
    assert await files.get_file_of(tenant_id, file.id) == file
    assert await files.get_files([file.id]) == [file]


async def test_using_a_file_extends_its_life_by_a_week(
    books: PostgresBooks, files: PostgresInputFiles
) -> None:
    tenant_id = await books.tenant()
    one, two = await added(files, tenant_id), await added(files, tenant_id)
    used = await files.use_files(tenant_id, [two.id, one.id, two.id])

    assert [file.id for file in used] == [two.id, one.id, two.id]
    assert all(file.expires_at - file.created_at >= timedelta(days=7) for file in used)
    again = await files.use_files(tenant_id, [one.id])
    assert again[0].expires_at >= used[1].expires_at


async def test_a_file_belongs_to_one_tenant(books: PostgresBooks, files: PostgresInputFiles) -> None:
    mine, another = await books.tenant(), await books.tenant()
    file = await added(files, mine)

    with pytest.raises(FileNotFound):
        await files.get_file_of(another, file.id)
    with pytest.raises(FileNotFound):
        await files.use_files(another, [file.id])
    assert (await files.get_file_of(mine, file.id)).expires_at == file.expires_at


async def test_an_expired_file_is_gone_for_clients_and_there_for_a_job_that_began(
    books: PostgresBooks, files: PostgresInputFiles
) -> None:
    tenant_id = await books.tenant()
    expired, fresh = await added(files, tenant_id), await added(files, tenant_id)
    await expire(books, expired.id)

    with pytest.raises(FileNotFound):
        await files.get_file_of(tenant_id, expired.id)
    with pytest.raises(FileNotFound):
        await files.use_files(tenant_id, [fresh.id, expired.id])
    assert (await files.get_file_of(tenant_id, fresh.id)).expires_at == fresh.expires_at
    assert [file.id for file in await files.get_files([expired.id, fresh.id])] == [expired.id, fresh.id]


async def test_an_unknown_file_is_refused(files: PostgresInputFiles) -> None:
    with pytest.raises(FileNotFound):
        await files.get_files([new_id("file")])


async def test_expired_files_are_listed_longest_first_up_to_the_limit(
    books: PostgresBooks, files: PostgresInputFiles
) -> None:
    tenant_id = await books.tenant()
    ids = [(await added(files, tenant_id)).id for _ in range(4)]
    await expire(books, *ids[:3])

    assert await expired_ids(files, ids) == ids[:3]
    assert len(await files.list_expired_files(2)) == 2
    await files.delete_file(ids[0])
    assert await expired_ids(files, ids) == ids[1:3]
    await files.delete_file(ids[0])


@pytest.mark.parametrize("use", ["inputs", "mask"])
async def test_a_file_that_an_open_generation_needs_is_not_deleted(
    books: PostgresBooks, files: PostgresInputFiles, use: str
) -> None:
    tenant_id = await books.tenant()
    file = await added(files, tenant_id)
    first = await added(files, tenant_id)
    inputs = (first.id, file.id) if use == "inputs" else ()
    needs = replace(request(), inputs=inputs, mask=file.id if use == "mask" else None)
    generation_id = await books.add(tenant_id, needs)
    await expire(books, file.id)

    assert await expired_ids(files, [file.id]) == []
    # It lives on, so that it does not stand before others.
    assert (await files.get_file_of(tenant_id, file.id)).id == file.id
    await expire(books, file.id)
    await books.sql(
        "UPDATE generations SET status = :status, stage = :status WHERE id = :id",
        status=Status.CANCELED.value,
        id=generation_id,
    )
    assert await expired_ids(files, [file.id]) == [file.id]


async def test_a_generation_is_found_by_its_key_and_its_tenant(books: PostgresBooks) -> None:
    mine, another = await books.tenant(), await books.tenant()
    created, _ = await books.generations.create(mine, request(), "key-1", "print-1")
    found = await books.generations.find_by_key(mine, "key-1")

    assert found == (created, "print-1")
    assert await books.generations.find_by_key(mine, "key-2") is None
    assert await books.generations.find_by_key(another, "key-1") is None
