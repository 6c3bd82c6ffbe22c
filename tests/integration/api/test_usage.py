"""What was charged, by day, model and key, over the API."""

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from adapters.database.tenants import PostgresTenants
from domain.auth import Scope
from tests.integration.api.service import MODEL, Service, Tenant, unique

_INSERT = """
INSERT INTO usage_days
SELECT :id, CAST(CAST(:first AS text) AS date) + CAST(CAST(:number AS text) AS integer), :model, :key, 2, 3, 5
RETURNING model
"""
FIRST = date(2025, 10, 1)


async def used_before(service: Service, tenant: Tenant) -> int:
    """Write the usage of 12 days, of two models and up to three keys; return in how many lines."""
    count = 0
    for number in range(12):
        for model in ("flux-dev", "größe"):
            for key in ("0123456789abcdef", "fedcba9876543210", "")[: 1 + number % 3]:
                day = {"first": str(FIRST), "number": str(number)}
                await service.words(_INSERT, id=tenant.id, model=model, key=key, **day)
                count += 1
    return count


async def whole(tenant: Tenant, query: str, limit: int) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    page = await tenant.get(f"/v1/usage?{query}&limit={limit}")
    while page["next_cursor"] is not None:
        assert len(page["data"]) == limit
        found += page["data"]
        page = await tenant.get(f"/v1/usage?limit={limit}&cursor={page['next_cursor']}")
    return [*found, *page["data"]]


async def test_every_grouping_adds_up_to_the_same(service: Service, tenant: Tenant) -> None:
    count = await used_before(service, tenant)
    days = f"from={FIRST}&to={FIRST + timedelta(days=11)}"
    [total] = (await tenant.get(f"/v1/usage?{days}"))["data"]
    assert total == {
        "day": None,
        "model": None,
        "key_id": None,
        "generations": 2 * count,
        "images": 3 * count,
        "charged_credits": 5 * count,
    }
    for groups, lines in (("day", 12), ("model", 2), ("key", 3), ("model,day", 24), ("key,model,day", count)):
        found = await whole(tenant, f"{days}&group_by={groups}", limit=5)
        assert len(found) == lines
        for name in ("generations", "images", "charged_credits"):
            assert sum(line[name] for line in found) == total[name]
        places = [(line["day"] or "", line["model"] or "", line["key_id"] or "") for line in found]
        assert len(set(places)) == lines
        assert [each[0] for each in places] == sorted(each[0] for each in places)
    inside = f"from={FIRST + timedelta(days=1)}&to={FIRST + timedelta(days=1)}"
    assert (await tenant.get(f"/v1/usage?{inside}"))["data"][0]["generations"] == 8


async def test_a_job_is_in_the_usage_of_its_day_model_and_key(service: Service, tenant: Tenant) -> None:
    key = await PostgresTenants(service.database).create_key(tenant.id, tuple(Scope))
    second = Tenant(tenant.id, key.key_id, await service.client(service.url, key.api_key))
    await tenant.ended((await tenant.posted(unique("a coin"), n=3))["id"])
    await tenant.ended((await tenant.posted(unique("a note [sim:moderation]")))["id"])
    await second.ended((await second.posted(unique("a coin")))["id"])

    page = await tenant.get("/v1/usage?group_by=key,model,day")
    today = datetime.now(UTC).date()
    assert (page["from"], page["group_by"]) == (str(today.replace(day=1)), ["day", "model", "key"])
    assert sorted((line["key_id"], line["generations"], line["images"]) for line in page["data"]) == sorted(
        [(tenant.key_id, 1, 3), (second.key_id, 1, 1)]
    )
    assert {(line["day"], line["model"]) for line in page["data"]} <= {
        (str(day), MODEL) for day in (today, today - timedelta(days=1))
    }
    assert sum(line["charged_credits"] for line in page["data"]) == (await tenant.credits())[2]


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("from=2025-02-30", "from"),
        ("to=2025-2-3", "to"),
        ("from=2025-W01-1", "from"),
        ("to=1700000000", "to"),
        ("from=1999-12-31", "from"),
        ("from=2025-02-02&to=2025-02-01", "from"),
        ("from=2024-01-01&to=2025-01-01", "to"),
        ("from=0001-01-01", "from"),
        ("to=9999-12-31&from=9998-01-01", "to"),
        ("group_by=week", "group_by"),
        ("group_by=day,", "group_by"),
        ("group_by=day%0A", "group_by"),
        ("group_by=", "group_by"),
        ("days=5", "days"),
        ("limit=0", "limit"),
        ("limit=1001", "limit"),
        ("from=%00", "from"),
    ],
)
async def test_what_is_no_usage_is_refused(tenant: Tenant, query: str, field: str) -> None:
    refused = await tenant.http.get(f"/v1/usage?{query}")
    assert (refused.status_code, refused.json()["code"]) == (422, "invalid_input"), refused.text
    [wrong] = refused.json()["errors"]
    assert wrong["field"] == field
    assert "pattern" not in wrong["message"]


async def test_the_longest_that_may_be_asked_for(tenant: Tenant) -> None:
    page = await tenant.get("/v1/usage?from=2024-01-01&to=2024-12-31&group_by=day,day")
    assert (page["from"], page["to"], page["group_by"], page["data"]) == (
        "2024-01-01",
        "2024-12-31",
        ["day"],
        [],
    )


async def test_a_cursor_belongs_to_its_days_and_groups(service: Service, tenant: Tenant) -> None:
    await used_before(service, tenant)
    days = f"from={FIRST}&to={FIRST + timedelta(days=11)}"
    cursor = (await tenant.get(f"/v1/usage?{days}&group_by=day&limit=2"))["next_cursor"]
    for same in ("", f"&{days}", f"&{days}&group_by=day"):
        page = await tenant.get(f"/v1/usage?cursor={cursor}&limit=2{same}")
        assert [line["day"] for line in page["data"]] == ["2025-10-03", "2025-10-04"]
    for other in ("&group_by=model", "&from=2025-10-02", "&to=2025-10-13"):
        refused = await tenant.http.get(f"/v1/usage?cursor={cursor}{other}")
        assert (refused.status_code, refused.json()["errors"][0]["field"]) == (422, "cursor")
