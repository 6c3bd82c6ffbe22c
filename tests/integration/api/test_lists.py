"""Lists of generations over HTTP: filters, sorts, cursors, and what is refused."""

import asyncio
from typing import Any
from urllib.parse import urlencode

import pytest

from domain.listing import ListOrder
from tests.integration.api.service import Service, Tenant, unique


async def ids(tenant: Tenant, **query: str) -> list[str]:
    """Return the ids of a list, read page by page."""
    found: list[str] = []
    cursor: dict[str, str] = {}
    while True:
        page = await tenant.get(f"/v1/generations?{urlencode(query | cursor)}")
        found += [job["id"] for job in page["data"]]
        if page["next_cursor"] is None:
            return found
        cursor = {"cursor": page["next_cursor"]}


async def ended(tenant: Tenant, prompt: str, **fields: Any) -> dict[str, Any]:
    return await tenant.ended((await tenant.posted(prompt, **fields))["id"])


async def test_jobs_are_found_by_what_was_sent_with_them(tenant: Tenant) -> None:
    order = {"order": "42", "shop of": "Ada & Sons", "a.b": ""}
    first = await ended(tenant, unique("A red Fox"), metadata=order)
    second = await ended(tenant, unique("a fox [sim:moderation]"), metadata={"order": "43"}, n=2)
    third = await ended(tenant, unique("a wolf"), n=3)
    for query, found in (
        ({"q": "fox"}, [second, first]),
        ({"q": "fox RED"}, [first]),
        ({"q": "sons"}, [first]),
        ({"q": ""}, [third, second, first]),
        ({"metadata.order": "42"}, [first]),
        ({"metadata.order": "42", "metadata.shop of": "Ada & Sons", "metadata.a.b": ""}, [first]),
        ({"metadata.order": "42", "metadata.a.b": "x"}, []),
        ({"status": "failed"}, [second]),
        ({"status": "completed", "q": "fox"}, [first]),
        ({"model": "flux-schnell", "provider": "fal"}, [third, second, first]),
        ({"model": "none"}, []),
        ({"created_after": third["created_at"]}, [third]),
        ({"created_before": third["created_at"]}, [second, first]),
        ({"sort": "created_at"}, [first, second, third]),
        ({"sort": "-cost"}, [third, first, second]),
        ({"sort": "cost", "limit": "1"}, [second, first, third]),
    ):
        assert await ids(tenant, **query) == [job["id"] for job in found], query
    for sort in ("duration", "-duration"):
        assert sorted(await ids(tenant, sort=sort, limit="2")) == sorted(
            job["id"] for job in (first, second, third)
        )


async def test_a_deleted_job_and_another_tenants_are_in_no_list(service: Service, tenant: Tenant) -> None:
    fields = {"metadata": {"order": "42"}}
    kept, deleted = [await ended(tenant, unique("a fox"), **fields) for _ in range(2)]
    other = await service.tenant()
    theirs = await ended(other, unique("a fox"), **fields)
    assert (await tenant.http.delete(f"/v1/generations/{deleted['id']}")).status_code == 204
    filters: tuple[dict[str, str], ...] = (
        {},
        {"q": "fox"},
        {"metadata.order": "42"},
        {"model": "flux-schnell"},
        {"status": "completed"},
    )
    for query, sort in ((query, sort.value) for query in filters for sort in ListOrder):
        assert await ids(tenant, sort=sort, **query) == [kept["id"]]
        assert await ids(other, sort=sort, **query) == [theirs["id"]]


async def test_a_cursor_of_another_list_is_refused_and_says_so(service: Service, tenant: Tenant) -> None:
    for _ in range(2):
        await tenant.posted(unique("a fox"))
    page = await tenant.get("/v1/generations?limit=1&q=fox")
    cursor = page["next_cursor"]
    for query in ({}, {"q": "wolf"}, {"q": "fox", "sort": "cost"}, {"q": "fox", "status": "failed"}):
        answer = await tenant.http.get("/v1/generations", params=query | {"cursor": cursor})
        assert (answer.status_code, answer.json()["code"]) == (422, "invalid_input")
        [error] = answer.json()["errors"]
        assert (error["field"], "another sort" in error["message"]) == ("cursor", True)
    # In another tenant's hands it is a place in the other's own list.
    other = await service.tenant()
    assert (await other.get(f"/v1/generations?q=fox&cursor={cursor}"))["data"] == []
    assert len((await tenant.get(f"/v1/generations?q=fox&limit=7&cursor={cursor}"))["data"]) == 1


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("q=%00", "q"),
        ("sort=prompt", "sort"),
        ("limit=0", "limit"),
        ("limit=101", "limit"),
        ("cursor=x", "cursor"),
        ("created_after=2026", "created_after"),
        ("metadata.a=1&metadata.a=2", "metadata.a"),
        ("tenant_id=ten_1", "tenant_id"),
    ],
)
async def test_what_is_wrong_is_refused_by_name(tenant: Tenant, query: str, field: str) -> None:
    answer = await tenant.http.get(f"/v1/generations?{query}")
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_input")
    assert [error["field"] for error in answer.json()["errors"]] == [field]


async def test_many_lists_at_once_are_all_answered(tenant: Tenant) -> None:
    job = await tenant.posted(unique("a fox"), metadata={"order": "42"})
    queries = [{"q": "fox"}, {"metadata.order": "42"}, {"model": "flux-schnell", "q": "fox"}] * 20
    found = await asyncio.gather(*(ids(tenant, **query) for query in queries))
    assert found == [[job["id"]]] * len(queries)
