"""OpenAI's official client for Python makes a batch of a file, and reads what came of it."""

import io
import json
from collections.abc import AsyncIterator

import openai
import pytest
from openai import AsyncOpenAI
from openai.types import Batch

from tests.integration.api.batching import line
from tests.integration.api.openai_routes.clients import official
from tests.integration.api.service import Service, Tenant, unique
from tests.support.eventually import eventually


@pytest.fixture
async def client(service: Service, tenant: Tenant) -> AsyncIterator[AsyncOpenAI]:
    async with official(tenant, service.url) as client:
        yield client


async def made(client: AsyncOpenAI, *lines: str) -> Batch:
    """Upload lines and make a batch of them, as OpenAI's guide does."""
    content = io.BytesIO("\n".join(lines).encode())
    content.name = "requests.jsonl"
    file = await client.files.create(file=content, purpose="batch")
    assert (file.id[:5], file.purpose) == ("file_", "batch")
    return await client.batches.create(
        input_file_id=file.id,
        endpoint="/v1/images/generations",
        completion_window="24h",
        metadata={"of": "a test"},
    )


async def ended(client: AsyncOpenAI, batch_id: str) -> Batch:
    async def check() -> Batch | None:
        batch = await client.batches.retrieve(batch_id)
        return batch if str(batch.status) in ("completed", "failed", "canceled") else None

    return await eventually(check, 60)


async def test_a_batch_is_made_waited_for_and_read(client: AsyncOpenAI) -> None:
    lines = [line(unique("a pier"), "good"), line(unique("a knife [sim:fail]"), "bad")]
    batch = await made(client, *lines)
    assert (batch.object, batch.metadata, batch.endpoint) == (
        "batch",
        {"of": "a test"},
        "/v1/images/generations",
    )
    batch = await ended(client, batch.id)
    counts = batch.request_counts

    assert counts is not None
    assert (batch.status, counts.total, counts.completed, counts.failed) == ("completed", 2, 1, 1)
    [good] = [
        json.loads(each)
        for each in (await client.files.content(batch.output_file_id or "")).text.splitlines()
    ]
    [bad] = [
        json.loads(each) for each in (await client.files.content(batch.error_file_id or "")).text.splitlines()
    ]
    assert (good["custom_id"], good["response"]["status_code"], good["error"]) == ("good", 200, None)
    assert good["response"]["body"]["data"][0]["url"]
    assert (bad["custom_id"], bad["response"]["body"]["error"]["code"]) == ("bad", "provider_failed")


async def test_a_file_that_is_wrong_fails_with_the_lines(client: AsyncOpenAI) -> None:
    batch = await ended(client, (await made(client, line("a"), "{")).id)

    assert batch.status == "failed"
    assert batch.errors is not None
    [error] = batch.errors.data or []
    assert (error.line, error.code, error.param) == (2, "invalid_input", None)
    assert (batch.output_file_id, batch.error_file_id) == (None, None)


async def test_batches_are_listed_and_canceled(client: AsyncOpenAI) -> None:
    batches = [await made(client, line(unique(f"a queue {n} [sim:hang]"))) for n in range(3)]
    listed = [batch.id async for batch in client.batches.list(limit=2)]
    for batch in batches:
        assert str((await client.batches.cancel(batch.id)).status) in ("canceling", "canceled")
        assert str((await ended(client, batch.id)).status) == "canceled"

    assert listed == [batch.id for batch in reversed(batches)]


async def test_files_are_retrieved_read_and_deleted(client: AsyncOpenAI) -> None:
    content = line("a boat").encode()
    file = await client.files.create(file=content, purpose="batch")

    assert (await client.files.retrieve(file.id)).id == file.id
    assert (await client.files.content(file.id)).content == content
    await client.files.delete(file.id)
    with pytest.raises(openai.NotFoundError):
        await client.files.content(file.id)


async def test_what_is_refused_is_an_error_of_the_client(client: AsyncOpenAI) -> None:
    with pytest.raises(openai.UnprocessableEntityError) as refused:
        await client.batches.create(
            input_file_id="file_0", endpoint="/v1/images/generations", completion_window="24h"
        )
    with pytest.raises(openai.NotFoundError):
        await client.batches.retrieve("bat_0")

    assert isinstance(refused.value.body, dict)
    assert refused.value.body["code"] == "invalid_input"
