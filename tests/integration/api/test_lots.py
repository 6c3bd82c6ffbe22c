"""A tenant's lots, and the parts of its balance."""

from datetime import UTC, datetime, timedelta
from typing import Any

from adapters.database.lots import PostgresLots
from domain.audit import Actor
from domain.lots import Grant, LotCategory
from tests.integration.api.service import Service, Tenant, unique
from tests.integration.api.test_statements import all_of

OPERATOR = Actor("ada@desk", "a test")
PARTS = ("remaining", "held", "spent", "expired", "voided", "withdrawn", "taken_back", "repaid")


async def granted(service: Service, tenant: Tenant, reference: str, credits: int, **terms: Any) -> str:
    grant = Grant(tenant.id, credits, reference, **terms)
    return (await PostgresLots(service.database).grant(grant, by=OPERATOR)).lot.id


async def expired(service: Service, lot_id: str) -> None:
    """Let its time be over, before anybody has noticed."""
    await service.words(
        "UPDATE lots SET effective_at = now() - interval '2 days', expires_at = now() - interval '1 second'"
        " WHERE id = :id RETURNING id",
        id=lot_id,
    )


async def test_the_balance_says_what_may_be_spent_now(service: Service) -> None:
    tenant, now = await service.tenant(credits=0), datetime.now(UTC)
    soon, later = now + timedelta(days=2), now + timedelta(days=9)
    await granted(service, tenant, "plain", 10)
    await granted(service, tenant, "soon", 20, expires_at=soon)
    await granted(service, tenant, "soon too", 2, expires_at=soon, category=LotCategory.PROMOTIONAL)
    await granted(service, tenant, "later", 40, expires_at=later)
    await granted(service, tenant, "to come", 80, effective_at=soon)
    over = await granted(service, tenant, "over", 160, expires_at=soon)
    await expired(service, over)
    await tenant.http.put("/v1/credits/thresholds", json={"thresholds": [30, 1000]})

    balance = await tenant.get("/v1/credits")
    told = balance.pop("thresholds")
    expiry = balance.pop("next_expiry")
    assert balance == {"available": 72, "held": 0, "spent": 0, "owed": 0, "upcoming": 80}
    assert (expiry["credits"], datetime.fromisoformat(expiry["expires_at"])) == (22, soon)
    assert [(each["threshold_credits"], each["told_at"] is None) for each in told] == [
        (1000, False),
        (30, True),
    ]
    assert (await tenant.get("/v1/session"))["credits"]["available"] == 72


async def test_lots_are_listed_with_what_became_of_them(service: Service) -> None:
    tenant, lots = await service.tenant(credits=0), PostgresLots(service.database)
    now = datetime.now(UTC)
    first = await granted(service, tenant, "first", 2, priority=1)
    job = await tenant.posted(unique("a coin"), n=2)
    await tenant.ended(job["id"])
    payment = unique("paid")
    paid = await granted(service, tenant, payment, 5, is_payment=True)
    await lots.take_back(tenant.id, payment, "refund", None, by=OPERATOR)
    mistake = await granted(service, tenant, "mistake", 7)
    await lots.void(mistake, by=OPERATOR)
    over = await granted(service, tenant, "over", 9, expires_at=now + timedelta(days=1))
    await expired(service, over)
    coming = await granted(service, tenant, "coming", 11, effective_at=now + timedelta(days=1))
    plain = await granted(service, tenant, "plain", 13, priority=90)

    listed = await all_of(tenant, "/v1/credits/lots", limit=2)
    assert [(lot["id"], lot["status"]) for lot in listed] == [
        (plain, "open"),
        (coming, "upcoming"),
        (over, "expired"),
        (mistake, "voided"),
        (paid, "taken_back"),
        (first, "used_up"),
    ]
    assert [sum(lot[part] for part in PARTS) for lot in listed] == [lot["granted"] for lot in listed]
    assert [lot["reference"] for lot in listed] == ["plain", "coming", "over", "mistake", payment, "first"]
    assert (listed[-1]["spent"], listed[-2]["taken_back"], listed[3]["voided"]) == (2, 5, 7)
    still_open = await all_of(tenant, "/v1/credits/lots?open=true", limit=1)
    assert [lot["id"] for lot in still_open] == [plain, coming, over]
    one = await PostgresLots(service.database).get_lot(tenant.id, over)
    assert (one.status, one.expired_at) == ("expired", None)


async def test_a_cursor_that_is_none_is_refused(tenant: Tenant) -> None:
    for path in ("/v1/credits/lots", "/v1/credits/statements", "/v1/usage"):
        for cursor in ("x", "bG90XzA", "Mg", "W1tbWw", "", "AA"):
            refused = await tenant.http.get(path, params={"cursor": cursor})
            assert (refused.status_code, refused.json()["errors"][0]["field"]) == (422, "cursor"), path
