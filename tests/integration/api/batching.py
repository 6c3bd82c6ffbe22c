"""Batches for tests: items, lines, files of lines, and waiting for an end."""

import json
from collections.abc import Sequence
from typing import Any

from tests.integration.api.service import MODEL, Tenant
from tests.support.eventually import eventually

_ENDED_WITHIN_SECONDS = 60.0
TERMINAL = ("completed", "failed", "canceled")


def item(prompt: str, custom_id: str | None = None, **fields: Any) -> dict[str, Any]:
    """Return an item of an array."""
    named = {} if custom_id is None else {"custom_id": custom_id}
    return {"model": MODEL, "prompt": prompt, "size": "512x512", **named, **fields}


def line(prompt: str, custom_id: str = "a", url: str = "/v1/images/generations", **fields: Any) -> str:
    """Return a line of a file, in OpenAI's form."""
    body = {"model": MODEL, "prompt": prompt, "size": "512x512", **fields}
    return json.dumps({"custom_id": custom_id, "method": "POST", "url": url, "body": body})


async def batch_file(tenant: Tenant, lines: Sequence[str]) -> str:
    """Upload lines; return the id of the file."""
    content = "\n".join(lines).encode()
    answer = await tenant.http.post(
        "/v1/files", data={"purpose": "batch"}, files={"file": ("a.jsonl", content, "application/jsonl")}
    )
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


async def posted_batch(tenant: Tenant, items: Sequence[dict[str, Any]], **fields: Any) -> dict[str, Any]:
    """Post a batch that is accepted."""
    answer = await tenant.http.post("/v1/batches", json={"items": list(items), **fields})
    assert answer.status_code == 202, answer.text
    return dict(answer.json())


async def batch_ended(tenant: Tenant, batch_id: str) -> dict[str, Any]:
    """Wait until the batch has ended; return it."""

    async def check() -> dict[str, Any] | None:
        batch = await tenant.get(f"/v1/batches/{batch_id}")
        return batch if batch["status"] in TERMINAL else None

    return await eventually(check, _ENDED_WITHIN_SECONDS)


async def items_of(tenant: Tenant, batch_id: str) -> list[dict[str, Any]]:
    """Return all items, page by page."""
    found, cursor = [], None
    while True:
        query = f"?limit=100{f'&cursor={cursor}' if cursor else ''}"
        page = await tenant.get(f"/v1/batches/{batch_id}/items{query}")
        found += page["data"]
        cursor = page["next_cursor"]
        if cursor is None:
            return found


async def results_of(tenant: Tenant, batch_id: str) -> list[dict[str, Any]]:
    answer = await tenant.http.get(f"/v1/batches/{batch_id}/results")
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/jsonl"
    return [json.loads(each) for each in answer.text.splitlines()]
