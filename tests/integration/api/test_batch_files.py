"""Files of batches: uploaded as JSON Lines, checked line by line, and made into generations."""

import asyncio
import hashlib
import json
from typing import Any

import httpx
import pytest

from composition.storage import object_store
from tests.integration.api.batching import batch_ended, batch_file, items_of, line, results_of
from tests.integration.api.pictures import LARGEST_INPUT_BYTES, PICTURE
from tests.integration.api.service import PRICE, Service, Tenant, unique

IMAGES = "/v1/images/generations"


async def uploaded(tenant: Tenant, content: bytes, purpose: str | None = "batch") -> httpx.Response:
    data = {} if purpose is None else {"purpose": purpose}
    return await tenant.http.post("/v1/files", data=data, files={"file": ("a.jsonl", content)})


async def posted(tenant: Tenant, file_id: str, **fields: Any) -> httpx.Response:
    return await tenant.http.post(
        "/v1/batches", json={"input_file_id": file_id, "endpoint": IMAGES, **fields}
    )


async def batch_of(tenant: Tenant, lines: list[str], **fields: Any) -> dict[str, Any]:
    """Make a batch of lines, and wait for its end."""
    answer = await posted(tenant, await batch_file(tenant, lines), **fields)
    assert answer.status_code == 202, answer.text
    return await batch_ended(tenant, answer.json()["id"])


async def files_of(service: Service, tenant: Tenant) -> int:
    return await service.count("SELECT count(*) FROM input_files WHERE tenant_id = :id", id=tenant.id)


async def test_lines_are_stored_as_they_are(service: Service, tenant: Tenant) -> None:
    content = (line("a boat") + "\r\n" + line("ein Boot — ünïcode", "b")).encode()
    file = (await uploaded(tenant, content)).json()
    async with (
        object_store(service.settings) as store,
        store.open_object(f"{tenant.id}/files/{file['id']}") as path,
    ):
        stored = await asyncio.to_thread(path.read_bytes)

    assert stored == content
    assert (file["purpose"], file["width"], file["height"]) == ("batch", None, None)
    assert (file["content_type"], file["size_bytes"]) == ("application/jsonl", len(content))
    assert file["sha256"] == hashlib.sha256(content).hexdigest()
    assert await tenant.get(f"/v1/files/{file['id']}") == file


@pytest.mark.parametrize(
    ("content", "limit"),
    [
        (b"", "JSON Lines: 1 to 50000 lines, each a JSON object"),
        (b"\n \n", "JSON Lines: 1 to 50000 lines, each a JSON object"),
        (PICTURE, "text in UTF-8"),
        (b"[1]\n", "JSON Lines: 1 to 50000 lines, each a JSON object"),
        (b'{"a":"\xff"}', "text in UTF-8"),
        (b'{"a":"\xc3', "text in UTF-8"),
        (b"{}\n" * 50_001, "at most 50000 lines"),
        (b"{}\n" * 50_000 + b"{}", "at most 50000 lines"),
    ],
    ids=range(8),
)
async def test_what_is_no_file_of_lines_is_refused_and_not_kept(
    service: Service, tenant: Tenant, content: bytes, limit: str
) -> None:
    answer = await uploaded(tenant, content)

    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_input")
    assert [(each["field"], each["message"]) for each in answer.json()["errors"]] == [("file", limit)]
    assert await files_of(service, tenant) == 0


async def test_lines_may_be_more_than_an_image_if_the_form_says_so_first(
    service: Service, tenant: Tenant
) -> None:
    content = b"".join(line("x" * 400, str(n)).encode() + b"\n" for n in range(1000))
    assert len(content) > LARGEST_INPUT_BYTES + 10_000
    boundary = "a-boundary"
    part = f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n'.encode()
    purpose = f'--{boundary}\r\nContent-Disposition: form-data; name="purpose"\r\n\r\nbatch\r\n'.encode()
    end = f"--{boundary}--\r\n".encode()
    headers = {"Content-Type": f"multipart/form-data; boundary={boundary}"}
    last = part + content + b"\r\n" + purpose + end
    answers = [
        await uploaded(tenant, content),
        await uploaded(tenant, content, None),
        await tenant.http.post("/v1/files", content=last, headers=headers),
    ]

    assert [answer.status_code for answer in answers] == [201, 413, 413]
    assert "purpose" in answers[2].json()["detail"]
    assert await files_of(service, tenant) == 1


async def test_an_image_is_no_batch_and_lines_are_no_image(service: Service, tenant: Tenant) -> None:
    image = (await tenant.http.post("/v1/files", files={"file": PICTURE})).json()["id"]
    lines = await batch_file(tenant, [line("a boat")])
    batch = await posted(tenant, image)
    job = await tenant.post(unique("in winter"), model="flux-kontext", size=None, inputs=[lines])
    estimate = await tenant.http.post(
        "/v1/generations/estimate", json={"model": "flux-kontext", "prompt": "a", "inputs": [lines]}
    )
    named = [[each["field"] for each in answer.json()["errors"]] for answer in (batch, job)]

    assert [answer.status_code for answer in (batch, job)] == [422, 422]
    assert named == [["input_file_id"], ["inputs.0"]]
    assert estimate.json().get("would_be_refused") or estimate.status_code == 422
    assert await service.generations_of(tenant) == 0


async def test_a_file_of_another_tenant_or_an_expired_one_is_none(service: Service, tenant: Tenant) -> None:
    other, file_id = await service.tenant(), await batch_file(tenant, [line("a boat")])
    theirs = await posted(other, file_id)
    await service.expire_file(file_id)
    late = await posted(tenant, file_id)

    assert [(answer.status_code, answer.json()["errors"]) for answer in (theirs, late)] == [
        (422, late.json()["errors"])
    ] * 2
    assert late.json()["errors"][0]["field"] == "input_file_id"


async def test_lines_in_openais_form_become_generations_and_lines_again(tenant: Tenant) -> None:
    prompts = [unique(f"a lane {n}") for n in range(3)] + [unique("a knife [sim:fail]")]
    lines = [line(prompt, f"request-{n}", user="u-1") for n, prompt in enumerate(prompts)]
    batch = await batch_of(tenant, lines, completion_window="24h", metadata={"of": "lanes"})
    results = await results_of(tenant, batch["id"])

    assert (batch["status"], batch["endpoint"]) == ("completed", IMAGES)
    assert batch["request_counts"] == {"total": 4, "completed": 3, "failed": 1}
    assert batch["cost"] == {"estimated": 4 * PRICE, "charged": 3 * PRICE}
    assert [each["custom_id"] for each in results] == [f"request-{n}" for n in range(4)]
    assert {*results[0]} == {"id", "custom_id", "response", "error"}
    body = results[0]["response"]["body"]
    assert {"created", "data", "output_format", "size"} <= {*body}
    assert body["data"][0]["url"].startswith("http")
    assert results[3]["response"]["status_code"] == 500
    assert results[3]["response"]["body"]["error"]["code"] == "provider_failed"
    job = await tenant.get(f"/v1/generations/{results[0]['response']['request_id']}")
    assert (job["prompt"], job["metadata"]) == (prompts[0], {"user": "u-1"})


async def test_lines_in_our_form_and_lines_of_edits_are_made_too(tenant: Tenant) -> None:
    image = (await tenant.http.post("/v1/files", files={"file": PICTURE})).json()["id"]
    ours = {"model": "flux-schnell", "prompt": unique("a hill"), "size": "512x512", "n": 2}
    edit = {"model": "flux-kontext", "prompt": unique("in winter"), "images": [{"file_id": image}]}
    batches = [
        await batch_of(
            tenant,
            [json.dumps({"custom_id": "a", "method": "POST", "url": url, "body": body})],
            endpoint=url,
        )
        for url, body in (("/v1/generations", ours), ("/v1/images/edits", edit))
    ]

    assert [batch["status"] for batch in batches] == ["completed"] * 2
    assert [batch["counts"]["completed"] for batch in batches] == [1, 1]
    [made] = await results_of(tenant, batches[0]["id"])
    assert len(made["response"]["body"]["images"]) == 2
    [edited] = await items_of(tenant, batches[1]["id"])
    assert (await tenant.get(f"/v1/generations/{edited['generation_id']}"))["inputs"] == [image]


async def test_a_file_with_wrong_lines_makes_nothing_and_says_which(service: Service, tenant: Tenant) -> None:
    lines = [
        line(unique("a good one"), "a"),
        "{",
        line("x", "a"),
        line("x", "b", n=99),
        "",
        line("x", "c", url="/v1/chat/completions"),
        line("x" * 70_000, "d"),
        json.dumps({"custom_id": "e", "method": "GET", "url": IMAGES, "body": []}),
    ]
    batch = await batch_of(tenant, lines)
    found = {(each["line"], each["param"]) for each in batch["errors"]["data"]}

    assert (batch["status"], batch["error"]["code"]) == ("failed", "invalid_input")
    whole = {(2, None), (5, None), (7, None)}
    assert found == whole | {(3, "custom_id"), (4, "body.n"), (6, "url"), (8, "method"), (8, "body")}
    assert batch["errors"]["total"] == 8
    assert batch["error"]["message"].startswith("8 things are wrong in the lines of the file")
    assert await service.generations_of(tenant) == 0
    assert await tenant.credits() == (100, 0, 0)
    assert await items_of(tenant, batch["id"]) == []
    assert await results_of(tenant, batch["id"]) == []


@pytest.mark.parametrize(
    ("fields", "lines", "code", "message"),
    [
        ({"max_cost": 2}, 3, "max_cost_exceeded", "it costs 3 credits, and max_cost is 2"),
        ({}, 101, "insufficient_credits", "the price of all lines is 101 credits: "),
    ],
)
async def test_a_file_that_costs_too_much_makes_nothing(
    service: Service, tenant: Tenant, fields: dict[str, Any], lines: int, code: str, message: str
) -> None:
    batch = await batch_of(tenant, [line("a boat", str(n)) for n in range(lines)], **fields)

    assert (batch["status"], batch["error"]["code"]) == ("failed", code)
    assert batch["error"]["message"].startswith(message)
    assert batch["cost"] == {"estimated": lines, "charged": 0}
    assert await service.generations_of(tenant) == 0


async def test_a_file_is_not_deleted_while_its_lines_are_checked(service: Service, tenant: Tenant) -> None:
    file_id = await batch_file(tenant, [line(unique("a boat"))])
    batch = (await posted(tenant, file_id)).json()
    await batch_ended(tenant, batch["id"])
    change = "UPDATE batches SET status = 'validating', finished_at = NULL WHERE id = :id RETURNING 1"
    await service.count(change, id=batch["id"])
    held = await tenant.http.delete(f"/v1/files/{file_id}")
    await service.count(
        "UPDATE batches SET status = 'completed', finished_at = now() WHERE id = :id RETURNING 1",
        id=batch["id"],
    )
    gone = await tenant.http.delete(f"/v1/files/{file_id}")

    assert (held.status_code, held.json()["code"]) == (409, "file_in_use")
    assert gone.status_code == 204
    assert (await tenant.http.get(f"/v1/files/{file_id}")).status_code == 404


async def test_two_purposes_are_none(service: Service, tenant: Tenant) -> None:
    answer = await tenant.http.post(
        "/v1/files", data={"purpose": ["batch", "image"]}, files={"file": ("a", b"{}")}
    )
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "purpose")
    assert await files_of(service, tenant) == 0
