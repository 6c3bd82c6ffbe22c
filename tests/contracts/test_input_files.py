"""What every InputFiles promises."""

import pytest

from domain.errors import FileNotFound
from domain.input_files import FilePurpose, ImageFacts, InputFile
from tests.contracts.subjects import Subject
from tests.support.requests import new_id

FACTS = ImageFacts(96, 64, "image/png", 1234, "ab" * 32, has_alpha=True)


@pytest.fixture
async def tenant(subject: Subject) -> str:
    return await subject.books.tenant()


async def added(subject: Subject, tenant: str) -> InputFile:
    file_id = new_id("file")
    return await subject.files.add_file(tenant, file_id, f"{tenant}/files/{file_id}", FACTS)


async def test_a_file_keeps_its_facts(subject: Subject, tenant: str) -> None:
    file = await added(subject, tenant)
    assert (file.tenant_id, file.key, file.facts) == (tenant, f"{tenant}/files/{file.id}", FACTS)
    assert file.expires_at > file.created_at
    assert await subject.files.get_file_of(tenant, file.id) == file
    assert await subject.files.get_files([file.id]) == [file]


async def test_files_come_in_the_order_asked_for(subject: Subject, tenant: str) -> None:
    one, two = await added(subject, tenant), await added(subject, tenant)
    wanted = [two.id, one.id, two.id]
    assert [file.id for file in await subject.files.use_files(tenant, wanted)] == wanted
    assert [file.id for file in await subject.files.get_files(wanted)] == wanted


async def test_a_used_file_expires_no_earlier(subject: Subject, tenant: str) -> None:
    file = await added(subject, tenant)
    [used] = await subject.files.use_files(tenant, [file.id])
    assert used.expires_at >= file.expires_at
    assert await subject.files.get_file_of(tenant, file.id) == used


async def test_nothing_asked_for_is_nothing_found(subject: Subject, tenant: str) -> None:
    await added(subject, tenant)
    assert await subject.files.use_files(tenant, []) == []
    assert await subject.files.get_files([]) == []


async def test_a_file_belongs_to_one_tenant(subject: Subject, tenant: str) -> None:
    file, another = await added(subject, tenant), await subject.books.tenant()
    own = await added(subject, another)
    with pytest.raises(FileNotFound):
        await subject.files.get_file_of(another, file.id)
    with pytest.raises(FileNotFound):
        await subject.files.use_files(another, [own.id, file.id])


async def test_lines_of_a_batch_are_kept_and_are_no_image(subject: Subject, tenant: str) -> None:
    facts, file_id = ImageFacts(0, 0, "application/jsonl", 1234, "ab" * 32), new_id("file")
    file = await subject.files.add_file(
        tenant, file_id, f"{tenant}/files/{file_id}", facts, FilePurpose.BATCH
    )
    image = await added(subject, tenant)

    assert (file.purpose, file.facts, image.purpose) == (FilePurpose.BATCH, facts, FilePurpose.IMAGE)
    assert await subject.files.get_file_of(tenant, file_id) == file
    with pytest.raises(FileNotFound):
        await subject.files.use_files(tenant, [image.id, file_id])


async def test_those_that_there_are_can_be_found_among_others(subject: Subject, tenant: str) -> None:
    file, another = await added(subject, tenant), await added(subject, await subject.books.tenant())
    found = await subject.files.find_files_of(tenant, {file.id, another.id, new_id("file")})
    assert found == {file.id: file}


async def test_an_unknown_file_is_not_found(subject: Subject, tenant: str) -> None:
    file, unknown = await added(subject, tenant), new_id("file")
    with pytest.raises(FileNotFound):
        await subject.files.get_files([file.id, unknown])
    with pytest.raises(FileNotFound):
        await subject.files.get_file_of(tenant, unknown)
    with pytest.raises(FileNotFound):
        await subject.files.use_files(tenant, [file.id, unknown])


async def test_a_fresh_file_is_not_expired(subject: Subject, tenant: str) -> None:
    file = await added(subject, tenant)
    assert file.id not in [expired.id for expired in await subject.files.list_expired_files(1000)]


async def test_a_file_is_forgotten_however_often(subject: Subject, tenant: str) -> None:
    file, other = await added(subject, tenant), await added(subject, tenant)
    for _ in range(2):
        await subject.files.delete_file(file.id)
    with pytest.raises(FileNotFound):
        await subject.files.get_files([file.id])
    assert await subject.files.get_file_of(tenant, other.id) == other
