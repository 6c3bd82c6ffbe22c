"""Batches over HTTP: made of an array, read, listed, canceled, and what came of their items."""

import json
from typing import Any

import httpx
import pytest

from domain.auth import Scope
from tests.integration.api.batching import (
    batch_ended,
    item,
    items_of,
    posted_batch,
    results_of,
)
from tests.integration.api.owned import unknown_id
from tests.integration.api.service import PRICE, Service, Tenant, unique
from tests.support.eventually import eventually


async def post(tenant: Tenant, key: str | None = None, **fields: Any) -> httpx.Response:
    headers = {} if key is None else {"Idempotency-Key": key}
    return await tenant.http.post("/v1/batches", json=fields, headers=headers)


async def batches_of(service: Service, tenant: Tenant) -> int:
    return await service.count("SELECT count(*) FROM batches WHERE tenant_id = :id", id=tenant.id)


async def test_an_array_becomes_generations_that_are_charged_for_images(tenant: Tenant) -> None:
    items = [item(unique(f"a street {n}"), f"c{n}", metadata={"n": str(n)}) for n in range(5)]
    items[3]["prompt"] = unique("a knife [sim:fail]")
    posted = await posted_batch(tenant, items, concurrency=2, metadata={"of": "streets"}, max_cost=5)
    batch = await batch_ended(tenant, posted["id"])
    listed = await items_of(tenant, batch["id"])

    assert (posted["counts"]["total"], posted["cost"]) == (5, {"estimated": 5 * PRICE, "charged": 0})
    assert (posted["metadata"], posted["concurrency"]) == ({"of": "streets"}, 2)
    assert batch["status"] == "completed"
    assert batch["counts"] == {
        "total": 5, "waiting": 0, "in_progress": 0, "completed": 4, "failed": 1, "canceled": 0,
    }  # fmt: skip
    assert batch["cost"] == {"estimated": 5 * PRICE, "charged": 4 * PRICE}
    assert batch["request_counts"] == {"total": 5, "completed": 4, "failed": 1}
    assert [each["custom_id"] for each in listed] == [f"c{n}" for n in range(5)]
    assert [each["status"] for each in listed] == ["completed"] * 3 + ["failed", "completed"]
    assert [len(each["images"]) for each in listed] == [1, 1, 1, 0, 1]
    assert listed[3]["error"]["code"] == "provider_failed"
    assert await tenant.credits() == (100 - 4 * PRICE, 0, 4 * PRICE)
    job = await tenant.get(f"/v1/generations/{listed[0]['generation_id']}")
    assert (job["prompt"], job["metadata"]) == (items[0]["prompt"], {"n": "0"})
    assert job["batch_id"] == batch["id"]


async def test_items_are_found_by_their_status_and_page_by_page(tenant: Tenant) -> None:
    items = [item(unique(f"a fence {n}"), f"c{n}") for n in range(5)]
    items[2]["prompt"] = unique("a knife [sim:fail]")
    batch = await batch_ended(tenant, (await posted_batch(tenant, items))["id"])
    path = f"/v1/batches/{batch['id']}/items"
    failed = await tenant.get(f"{path}?status=failed")
    first = await tenant.get(f"{path}?limit=3")
    second = await tenant.get(f"{path}?limit=3&cursor={first['next_cursor']}")

    assert [each["index"] for each in failed["data"]] == [2]
    assert [each["index"] for each in first["data"] + second["data"]] == list(range(5))
    assert second["next_cursor"] is None


async def test_results_have_a_line_for_each_item_that_has_ended(service: Service, tenant: Tenant) -> None:
    items = [
        item(unique("a wall"), "good"),
        item(unique("a knife [sim:fail]"), "bad"),
        item(unique("a storm [sim:moderation]"), "refused"),
        item(unique("a gate")),
    ]
    batch = await batch_ended(tenant, (await posted_batch(tenant, items))["id"])
    lines = await results_of(tenant, batch["id"])
    behind = await tenant.http.get(f"/v1/batches/{batch['id']}/results?after=2")

    assert [line["custom_id"] for line in lines] == ["good", "bad", "refused", None]
    good, bad, refused = lines[:3]
    assert (good["error"], good["response"]["status_code"]) == (None, 200)
    assert good["response"]["body"]["id"] == good["response"]["request_id"]
    assert good["response"]["body"]["status"] == "completed"
    stranger = await service.client(service.url)
    image = await stranger.get(good["response"]["body"]["images"][0]["url"])
    assert image.status_code in (200, 302, 307)
    assert bad["error"]["code"] == "provider_failed"
    assert bad["response"]["status_code"] == 500
    # The client's own fault: to send it again is no use.
    assert (refused["error"]["code"], refused["response"]["status_code"]) == ("content_rejected", 422)
    assert len(behind.text.splitlines()) == 1


async def test_a_batch_is_canceled_in_the_middle(tenant: Tenant) -> None:
    items = [item(unique(f"a queue {n} [sim:hang]")) for n in range(4)]
    batch_id = (await posted_batch(tenant, items, concurrency=2))["id"]

    async def begun() -> bool:
        return bool((await tenant.get(f"/v1/batches/{batch_id}"))["counts"]["in_progress"] == 2)

    await eventually(begun, 30)
    assert await results_of(tenant, batch_id) == []
    answer = await tenant.http.post(f"/v1/batches/{batch_id}/cancel")
    batch = await batch_ended(tenant, batch_id)
    again = await tenant.http.post(f"/v1/batches/{batch_id}/cancel")

    assert (answer.status_code, answer.json()["status"]) == (202, "canceling")
    assert answer.headers["Retry-After"]
    assert (batch["status"], batch["counts"]["canceled"], batch["error"]) == ("canceled", 4, None)
    assert await tenant.credits() == (100, 0, 0)
    assert (again.status_code, again.json()["status"]) == (202, "canceled")


async def test_a_batch_that_is_over_is_not_canceled(tenant: Tenant) -> None:
    batch = await batch_ended(tenant, (await posted_batch(tenant, [item(unique("a hut"))]))["id"])
    answer = await tenant.http.post(f"/v1/batches/{batch['id']}/cancel")
    assert (answer.status_code, answer.json()["code"]) == (409, "too_late_to_cancel")


async def test_a_repeat_is_the_same_batch_and_another_body_is_refused(
    service: Service, tenant: Tenant
) -> None:
    items = [item(unique("a mill"), "m")]
    first = await post(tenant, "lot-1", items=items)
    again = await post(tenant, "lot-1", items=items)
    other = await post(tenant, "lot-1", items=items, concurrency=3)

    assert (first.status_code, again.status_code) == (202, 202)
    assert first.json()["id"] == again.json()["id"]
    assert again.headers["Idempotent-Replayed"] == "true"
    assert first.headers["Location"].endswith(f"/v1/batches/{first.json()['id']}")
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_reused")
    assert await batches_of(service, tenant) == 1


@pytest.mark.parametrize(
    ("fields", "status", "code", "named"),
    [
        ({"items": [item("a"), item("")]}, 422, "invalid_input", ["items.1.prompt"]),
        ({"items": [item("a", n=99)]}, 422, "invalid_input", ["items.0.n"]),
        ({"items": [item("a"), item("b", model="no-such")]}, 422, "invalid_input", ["items.1.model"]),
        ({"items": [item("a", "x"), item("b", "x")]}, 422, "invalid_input", ["items.1.custom_id"]),
        ({"items": [item("a", max_cost=0)]}, 422, "invalid_input", ["items.0.max_cost"]),
        ({"items": [item("a", inputs=["file_0"])]}, 422, "invalid_input", ["items.0.inputs"]),
        (
            {"items": [item("a", model="flux-kontext", size=None, inputs=["file_0"])]},
            422,
            "invalid_input",
            ["items.0.inputs.0"],
        ),
        (
            {"items": [item("a", webhook_url="http://a.example")]},
            422,
            "invalid_input",
            ["items.0.webhook_url"],
        ),
        ({"items": [item("a")], "concurrency": 101}, 422, "invalid_input", ["concurrency"]),
        ({"items": [item("a")] * 3, "max_cost": 2}, 422, "max_cost_exceeded", []),
        ({"items": [item("a", n=4)] * 30}, 402, "insufficient_credits", []),
        ({"input_file_id": "file_0"}, 422, "invalid_input", ["input_file_id"]),
        ({"items": [item("a")], "input_file_id": "file_0"}, 422, "invalid_input", ["items"]),
        ({}, 422, "invalid_input", ["items"]),
    ],
)
async def test_what_cannot_be_made_is_refused_and_leaves_nothing(
    service: Service, tenant: Tenant, fields: dict[str, Any], status: int, code: str, named: list[str]
) -> None:
    answer = await post(tenant, **fields)

    assert (answer.status_code, answer.json()["code"]) == (status, code), answer.text
    assert [each["field"] for each in answer.json()["errors"]] == named
    assert await batches_of(service, tenant) == 0
    assert await service.generations_of(tenant) == 0


async def test_the_first_hundred_of_a_thousand_wrong_items_are_named(
    service: Service, tenant: Tenant
) -> None:
    answer = await post(tenant, items=[item(unique("a"), n=0) for _ in range(1000)])

    assert answer.status_code == 422
    assert [each["field"] for each in answer.json()["errors"]] == [f"items.{n}.n" for n in range(100)]
    assert await batches_of(service, tenant) == 0


@pytest.mark.parametrize(
    ("content", "headers", "status"),
    [
        (b"{", {}, 400),
        (b"[]", {}, 400),
        (b'{"items":' + b"[" * 100_000, {}, 400),
        (b'{"items":["\\ud800"]}', {}, 422),
        (b'{"metadata":{"a":"\\u0000"},"input_file_id":"file_1"}', {}, 422),
        (b"{}", {"Content-Type": "text/plain"}, 415),
        (b'{"items":[' + b" " * 16_000_000, {}, 413),
        (b'{"items":[' + b"0," * 1_000_000 + b"0]}", {}, 422),
        (b'{"x":' + b"[]" * 1_000_000 + b"}", {}, 400),
    ],
    ids=range(9),
)
async def test_a_hostile_body_is_refused(
    service: Service, tenant: Tenant, content: bytes, headers: dict[str, str], status: int
) -> None:
    sent = {"Content-Type": "application/json", **headers}
    answer = await tenant.http.post("/v1/batches", content=content, headers=sent)

    assert answer.status_code == status, answer.text
    assert await batches_of(service, tenant) == 0


async def test_batches_are_listed_newest_first(tenant: Tenant) -> None:
    ids = [(await posted_batch(tenant, [item(unique("a den"))]))["id"] for _ in range(3)]
    for batch_id in ids:
        await batch_ended(tenant, batch_id)
    first = await tenant.get("/v1/batches?limit=2")
    second = await tenant.get(f"/v1/batches?limit=2&cursor={first['next_cursor']}")
    openai = await tenant.get(f"/v1/batches?limit=2&after={first['last_id']}")
    none = await tenant.get("/v1/batches?status=failed")

    assert [each["id"] for each in first["data"] + second["data"]] == ids[::-1]
    assert (first["has_more"], second["has_more"], second["next_cursor"]) == (True, False, None)
    assert openai["data"] == second["data"]
    assert none["data"] == []


@pytest.mark.parametrize("path", ["", "/items", "/results", "/cancel"])
async def test_a_batch_is_its_tenants_own(service: Service, tenant: Tenant, path: str) -> None:
    batch = await posted_batch(tenant, [item(unique("a cave"))])
    other = await service.tenant()
    method = "POST" if path == "/cancel" else "GET"
    answers = [
        await other.http.request(method, f"/v1/batches/{batch_id}{path}")
        for batch_id in (batch["id"], unknown_id(batch["id"]), "bat_%00")
    ]

    assert [(answer.status_code, answer.json()["code"]) for answer in answers] == [
        (404, "batch_not_found")
    ] * 3
    assert (await batch_ended(tenant, batch["id"]))["status"] == "completed"


async def test_scopes_are_those_of_generations(service: Service) -> None:
    reader = await service.tenant(scopes=(Scope.READ_GENERATIONS,))
    writer = await service.tenant(scopes=(Scope.WRITE_GENERATIONS,))
    refused = [await post(reader, items=[item("a")]), await writer.http.get("/v1/batches")]
    made = await post(writer, items=[item(unique("a"), "x")], metadata={"secret": "1"})

    assert [answer.status_code for answer in refused] == [403, 403]
    assert (made.status_code, made.json()["metadata"]) == (202, {})


async def test_a_batch_takes_one_request_from_the_allowance(tenant: Tenant) -> None:
    answer = await post(tenant, items=[item(unique("a tree")) for _ in range(20)])
    left = answer.headers["RateLimit"]
    assert answer.status_code == 202
    assert '"create"' in left
    session = await tenant.get("/v1/session")
    [create] = [each for each in session["rates"] if each["policy"] == "create"]
    assert create["quota"] - create["remaining"] <= 1


async def test_a_thousand_items_are_accepted_listed_and_told_of_to_the_last(
    service: Service, tenant: Tenant
) -> None:
    rich = await service.tenant(credits=1000)
    items = [item(unique(f"a crowd {n} [sim:hang]"), f"c{n}") for n in range(1000)]
    posted = await posted_batch(rich, items, concurrency=1)
    canceled = await rich.http.post(f"/v1/batches/{posted['id']}/cancel")
    batch = await batch_ended(rich, posted["id"])
    lines, listed = await results_of(rich, batch["id"]), await items_of(rich, batch["id"])
    last = await rich.http.get(f"/v1/batches/{batch['id']}/results?after=998")

    assert (posted["counts"]["total"], canceled.status_code) == (1000, 202)
    assert (batch["status"], batch["counts"]["canceled"]) == ("canceled", 1000)
    assert [line["custom_id"] for line in lines] == [f"c{n}" for n in range(1000)]
    assert {line["error"]["code"] for line in lines} == {"generation_canceled"}
    assert [each["index"] for each in listed] == list(range(1000))
    assert [each["id"] for each in map(json.loads, last.text.splitlines())] == [f"{batch['id']}_999"]
    assert await rich.credits() == (1000, 0, 0)
