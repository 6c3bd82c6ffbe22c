"""Batches on the real servers: items that fail, a cancel in the middle, workers that are killed."""

import asyncio
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import httpx
import pytest

from adapters.database.credits import PostgresCreditAccounts
from tests.e2e.conftest import Deployment, stop
from tests.support.eventually import eventually
from tests.support.requests import new_id
from tests.support.time_limits import scaled

pytestmark = pytest.mark.needs_servers
_PRICE = 1
_COUNT = 60
_ENDED_WITHIN_SECONDS = 120.0
_FINAL = ("completed", "failed", "canceled")


def items(word: str, count: int = _COUNT) -> list[dict[str, Any]]:
    """Return items of which every tenth fails at the provider."""
    return [
        {
            "custom_id": f"{number}",
            "model": "flux-schnell",
            "prompt": f"{word} {number}{' [sim:fail]' if number % 10 == 0 else ''}",
            "size": "512x512",
        }
        for number in range(count)
    ]


class Story:
    """One batch of a new tenant."""

    def __init__(self, deployment: Deployment, client: httpx.AsyncClient, word: str) -> None:
        self.deployment = deployment
        self.client = client
        self.word = word
        self.id = ""

    async def post(self, wanted: Sequence[dict[str, Any]], **fields: Any) -> None:
        answer = await self.client.post("/v1/batches", json={"items": wanted, **fields})
        assert answer.status_code == httpx.codes.ACCEPTED, answer.text
        self.id = answer.json()["id"]

    async def read(self) -> dict[str, Any]:
        found: dict[str, Any] = (await self.client.get(f"/v1/batches/{self.id}")).json()
        return found

    async def ended(self) -> dict[str, Any]:
        async def look() -> dict[str, Any] | None:
            batch = await self.read()
            return batch if batch["status"] in _FINAL else None

        return await eventually(look, timeout_seconds=_ENDED_WITHIN_SECONDS)

    async def items(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        query = ""
        while True:
            page = (await self.client.get(f"/v1/batches/{self.id}/items?limit=100{query}")).json()
            found += page["data"]
            if page["next_cursor"] is None:
                return found
            query = f"&cursor={page['next_cursor']}"

    async def submits(self) -> Counter[str]:
        """Return how often the provider took each prompt."""
        async with httpx.AsyncClient(trust_env=False) as http:
            answer = await http.get(f"{self.deployment.simulator.url}/_sim/log", params={"limit": 10_000})
        prompts = [
            entry["prompt"] for entry in answer.json()["entries"] if entry["kind"] == "submit_accepted"
        ]
        return Counter(prompt for prompt in prompts if prompt.startswith(self.word))

    async def adds_up(self, batch: dict[str, Any], granted: int) -> None:
        """Check that every item ended once, none was made twice, and the credits are where the counts say."""
        listed = await self.items()
        statuses = Counter(each["status"] for each in listed)
        made = [each["generation_id"] for each in listed if each["generation_id"] is not None]
        assert len(listed) == batch["counts"]["total"]
        assert {**statuses} == {name: batch["counts"][name] for name in _FINAL if batch["counts"][name]}
        assert len(made) == len(set(made))
        rows = "SELECT count(*) FROM generations WHERE batch_id = :id"
        assert await self.deployment.count(rows, id=self.id) == len(made)
        assert set((await self.submits()).values()) <= {1}
        charged = statuses["completed"] * _PRICE
        assert batch["cost"]["charged"] == charged
        credits = (await self.client.get("/v1/credits")).json()
        assert (credits["available"], credits["held"]) == (granted - charged, 0)
        assert credits["spent"] == charged
        events = "SELECT count(*) FROM events WHERE data ->> 'batch_id' = :id AND type LIKE 'batch.%'"
        assert await self.deployment.count(events, id=self.id) == 1


async def new_story(deployment: Deployment, client: httpx.AsyncClient) -> Story:
    """Give the client's tenant enough for all of its items."""
    tenant_id = await deployment.tenant_of(client)
    await PostgresCreditAccounts(deployment.database).grant(tenant_id, 2 * _COUNT, new_id("more"))
    return Story(deployment, client, new_id("fox"))


async def test_a_tenth_fails_and_the_worker_is_killed_in_the_middle(deployment: Deployment) -> None:
    worker = deployment.start("worker.py")
    async with await deployment.new_client() as client:
        story = await new_story(deployment, client)
        await story.post(items(story.word), concurrency=15)

        async def is_in_the_middle() -> bool:
            return bool((await story.read())["counts"]["completed"] > _COUNT // 4)

        await eventually(is_in_the_middle, timeout_seconds=_ENDED_WITHIN_SECONDS)
        worker.kill()
        await asyncio.to_thread(worker.wait, scaled(20))
        worker = deployment.start("worker.py")
        try:
            batch = await story.ended()
        finally:
            await stop(worker)
        assert batch["status"] == "completed"
        await story.adds_up(batch, 10 + 2 * _COUNT)
        # What was being submitted at that moment is not submitted again: it failed, and cost nothing.
        assert batch["counts"]["failed"] >= _COUNT // 10
        assert batch["counts"]["completed"] > _COUNT // 2


async def test_a_cancel_in_the_middle_with_the_worker_killed(deployment: Deployment) -> None:
    worker = deployment.start("worker.py")
    async with await deployment.new_client() as client:
        story = await new_story(deployment, client)
        await story.post(items(story.word), concurrency=5)

        async def has_begun() -> bool:
            return bool((await story.read())["counts"]["completed"] >= 5)

        await eventually(has_begun, timeout_seconds=_ENDED_WITHIN_SECONDS)
        worker.kill()
        await asyncio.to_thread(worker.wait, scaled(20))
        answer = await client.post(f"/v1/batches/{story.id}/cancel")
        assert (answer.status_code, answer.json()["status"]) == (httpx.codes.ACCEPTED, "canceling")
        worker = deployment.start("worker.py")
        try:
            batch = await story.ended()
        finally:
            await stop(worker)
        assert batch["status"] == "canceled"
        assert batch["counts"]["completed"] >= 5
        assert batch["counts"]["canceled"] > _COUNT // 2
        await story.adds_up(batch, 10 + 2 * _COUNT)


@pytest.mark.parametrize(
    ("step", "moment"), [("begin_item", "after"), ("start_item", "before"), ("end_batch", "after")]
)
async def test_a_worker_killed_at_a_step_of_a_batch(
    deployment: Deployment, tmp_path: Path, step: str, moment: str
) -> None:
    mark = tmp_path / "fired"
    mortal = deployment.start("-m", "tests.support.crashing_worker", step, moment, str(mark))
    async with await deployment.new_client() as client:
        story = await new_story(deployment, client)
        await story.post(items(story.word, 4))
        exit_code = await asyncio.wait_for(asyncio.to_thread(mortal.wait), scaled(60))
        worker = deployment.start("worker.py")
        try:
            batch = await story.ended()
        finally:
            await stop(worker)
        assert mark.exists()
        assert exit_code == -9
        assert (batch["status"], batch["counts"]["total"]) == ("completed", 4)
        assert batch["counts"]["completed"] >= 1
        await story.adds_up(batch, 10 + 2 * _COUNT)
