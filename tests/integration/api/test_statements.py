"""What a tenant reads of its books, added up by hand from its entries and jobs."""

import csv
from collections import defaultdict
from datetime import UTC, datetime, timedelta
from io import StringIO
from typing import Any

import pytest

from adapters.database.credits import PostgresCreditAccounts
from adapters.database.lots import PostgresLots
from domain.audit import Actor
from domain.lots import Grant, LotCategory
from domain.statement_csv import COLUMNS
from tests.integration.api.service import MODEL, Service, Tenant, unique

OPERATOR = Actor("ada@desk", "a test")
# Of accounts that a tenant's balance is made of.
OWN = ("available", "held", "owed")


def this_month() -> str:
    return datetime.now(UTC).strftime("%Y-%m")


async def all_of(tenant: Tenant, path: str, limit: int = 7) -> list[dict[str, Any]]:
    """Return a whole list, page by page."""
    found: list[dict[str, Any]] = []
    cursor = ""
    while True:
        join = "&" if "?" in path else "?"
        page = await tenant.get(f"{path}{join}limit={limit}{cursor}")
        found += page["data"]
        if page["next_cursor"] is None:
            return found
        cursor = f"&cursor={page['next_cursor']}"


async def busy(service: Service, tenant: Tenant) -> None:
    """Let everything happen to a tenant's credits that can: it begins with 100 of a lot that is paid."""
    lots, accounts = PostgresLots(service.database), PostgresCreditAccounts(service.database)

    async def granted(reference: str, credits: int, **terms: Any) -> str:
        return (await lots.grant(Grant(tenant.id, credits, reference, **terms), by=OPERATOR)).lot.id

    gift = await granted("a gift", 30, category=LotCategory.PROMOTIONAL)
    await granted("to come", 500, effective_at=datetime.now(UTC) + timedelta(days=30))
    mistake = await granted("a mistake", 25, priority=90)
    payment = unique("payment")
    await granted(payment, 40, priority=10, is_payment=True)
    jobs = [await tenant.posted(unique("a coin"), n=4) for _ in range(4)]
    jobs += [await tenant.posted(unique("a note [sim:moderation]")) for _ in range(2)]
    for job in jobs:
        await tenant.ended(job["id"])
    held = await tenant.posted(unique("a vault [sim:hang]"), n=2)
    await tenant.generating(held["id"])
    await lots.void(mistake, by=OPERATOR)
    await lots.expire(gift, by=OPERATOR)
    await accounts.withdraw(tenant.id, 7, "moved", by=OPERATOR)
    # Of its 40, 7 were withdrawn; 18 are spent or held: those are owed, and paid in part by the next grant.
    await lots.take_back(tenant.id, payment, "refund", None, by=OPERATOR)
    await granted("the next", 5)


def by_hand(entries: list[dict[str, Any]]) -> dict[str, int]:
    """Return what the entries of a month say, each transfer once."""
    change: dict[str, int] = defaultdict(int)
    for entry in entries:
        if entry["account"] in OWN:
            change[entry["kind"]] += entry["amount"]
    return change


async def test_a_statement_is_what_its_entries_add_up_to(service: Service, tenant: Tenant) -> None:
    await busy(service, tenant)
    entries = await all_of(tenant, "/v1/credits/entries")
    change = by_hand(entries)
    statement = await tenant.get(f"/v1/credits/statements/{this_month()}")

    assert {kind: change[kind] for kind in ("hold", "refund", "repay")} == {
        "hold": 0,
        "refund": 0,
        "repay": 0,
    }
    assert (statement["opening"], statement["is_final"], statement["adds_up"]) == (0, False, True)
    assert statement["granted"] == {"paid": 100 + 500 + 25 + 40 + 5, "promotional": 30}
    assert sum(statement["granted"].values()) == change["grant"]
    assert statement["charged"] == -change["settle"] == 16
    assert statement["charges"] == [{"model": MODEL, "generations": 4, "images": 16, "credits": 16}]
    assert (statement["expired"], statement["voided"], statement["withdrawn"]) == (
        -change["expire_lot"],
        -change["void_lot"],
        -change["withdraw"],
    )
    assert (statement["expired"], statement["voided"], statement["withdrawn"]) == (30, 25, 7)
    assert statement["taken_back"] == {"credits": -change["take_back"], "owed": 18}
    assert statement["taken_back"]["credits"] == 33
    closing = statement["closing"]
    assert closing["credits"] == sum(change.values())
    assert closing["credits"] == closing["available"] + closing["held"] - closing["owed"]
    balance = await tenant.get("/v1/credits")
    assert (balance["available"] + balance["upcoming"], balance["held"], balance["owed"]) == (
        closing["available"],
        closing["held"],
        closing["owed"],
    )
    assert (closing["held"], closing["owed"], balance["upcoming"]) == (2, 13, 500)


async def test_a_statement_as_csv_says_the_same(service: Service, tenant: Tenant) -> None:
    await busy(service, tenant)
    path = f"/v1/credits/statements/{this_month()}"
    statement = await tenant.get(path)
    asked = await tenant.http.get(path, headers={"Accept": "text/csv"})
    named = await tenant.http.get(f"{path}?format=csv", headers={"Accept": "application/json"})
    both = await tenant.http.get(path, headers={"Accept": "text/csv, application/json"})
    as_json = await tenant.http.get(f"{path}?format=json", headers={"Accept": "text/csv"})

    assert (asked.text, as_json.json(), both.json()) == (named.text, statement, statement)
    assert asked.headers["content-type"] == "text/csv; charset=utf-8"
    assert asked.headers["vary"] == "Accept"
    assert asked.headers["content-disposition"] == f'attachment; filename="statement-{this_month()}.csv"'
    header, *lines = csv.reader(StringIO(asked.text, newline=""))
    assert tuple(header) == COLUMNS
    assert {tuple(line[:3]) for line in lines} == {(this_month(), "false", "true")}
    credits = {(line[3], line[4]): int(line[7]) for line in lines}
    taken, closing = statement["taken_back"], statement["closing"]
    assert credits == {
        ("opening", ""): statement["opening"],
        ("granted", "paid"): statement["granted"]["paid"],
        ("granted", "promotional"): statement["granted"]["promotional"],
        ("charged", MODEL): -statement["charged"],
        ("expired", ""): -statement["expired"],
        ("voided", ""): -statement["voided"],
        ("withdrawn", ""): -statement["withdrawn"],
        ("taken_back", "available"): taken["owed"] - taken["credits"],
        ("taken_back", "owed"): -taken["owed"],
        ("closing", ""): closing["credits"],
        ("closing", "available"): closing["available"],
        ("closing", "held"): closing["held"],
        ("closing", "owed"): -closing["owed"],
    }
    assert [line[3] for line in lines[-4:]] == ["closing"] * 4
    moved = sum(amount for (line, _), amount in credits.items() if line != "closing")
    assert moved == closing["credits"]


async def test_nobody_reads_of_others(service: Service, tenant: Tenant) -> None:
    await busy(service, tenant)
    other = await service.tenant(credits=3)
    statement = await other.get(f"/v1/credits/statements/{this_month()}")
    assert (statement["granted"], statement["charges"]) == ({"paid": 3, "promotional": 0}, [])
    assert statement["closing"] == {"credits": 3, "available": 3, "held": 0, "owed": 0}
    assert (await other.get("/v1/usage"))["data"][0]["generations"] == 0
    [lot] = await all_of(other, "/v1/credits/lots")
    assert (lot["granted"], lot["status"]) == (3, "open")
    theirs = await tenant.get("/v1/credits/lots?limit=1")
    refused = await other.http.get("/v1/credits/lots", params={"cursor": theirs["next_cursor"]})
    assert (refused.status_code, refused.json()["errors"][0]["field"]) == (422, "cursor")


@pytest.mark.parametrize(
    "month",
    ["2999-12", "2025-13", "2025-1", "2025-00", "0000-01", "1999-12", "now", "\uff12025-10", "2025-10 "],
)
async def test_a_month_that_is_none_is_refused(tenant: Tenant, month: str) -> None:
    refused = await tenant.http.get(f"/v1/credits/statements/{month}")
    assert (refused.status_code, refused.json()["code"]) == (422, "invalid_input")
    assert [each["field"] for each in refused.json()["errors"]] == ["month"]


async def test_the_months_are_listed_and_each_has_a_statement(tenant: Tenant) -> None:
    listed = (await tenant.get("/v1/credits/statements"))["data"]
    assert listed == [{"month": this_month(), "is_final": False}]
    before = await tenant.get("/v1/credits/statements/2025-01")
    assert (before["opening"], before["closing"]["credits"], before["adds_up"]) == (0, 0, True)
    assert (before["is_final"], before["charges"]) == (True, [])
    assert (before["starts_at"], before["ends_at"]) == ("2025-01-01T00:00:00Z", "2025-02-01T00:00:00Z")


async def test_a_wrong_statement_is_shown_and_counted(service: Service, tenant: Tenant) -> None:
    await tenant.ended((await tenant.posted(unique("a coin")))["id"])
    internal = await service.client(service.internal_url)

    async def counted() -> float:
        page = (await internal.get("/metrics")).text
        [line] = [each for each in page.splitlines() if each.startswith("darkroom_wrong_statements_total")]
        return float(line.split()[1])

    before = await counted()
    assert (await tenant.get(f"/v1/credits/statements/{this_month()}"))["adds_up"]
    assert await counted() == before
    await service.words(
        "UPDATE usage_days SET charged_credits = charged_credits + 1 WHERE tenant_id = :id RETURNING model",
        id=tenant.id,
    )
    assert not (await tenant.get(f"/v1/credits/statements/{this_month()}"))["adds_up"]
    assert await counted() == before + 1


async def test_an_entry_names_its_job_its_reference_and_its_lots(service: Service, tenant: Tenant) -> None:
    await busy(service, tenant)
    entries = await all_of(tenant, "/v1/credits/entries")
    lots = {lot["id"]: lot for lot in await all_of(tenant, "/v1/credits/lots", limit=2)}
    references = {(entry["kind"], entry["reference"]) for entry in entries if entry["reference"] is not None}
    [payment] = [lot["reference"] for lot in lots.values() if lot["taken_back"]]
    assert references == {
        *(("grant", lot["reference"]) for lot in lots.values()),
        ("withdraw", "moved"),
        ("take_back", f"{payment}:refund"),
    }
    of_jobs = {"hold", "settle", "refund"}
    assert all((entry["generation_id"] is not None) == (entry["kind"] in of_jobs) for entry in entries)
    remaining: dict[str, int] = defaultdict(int)
    for entry in entries:
        moved = entry["lots"]
        if entry["account"] in ("available", "held", "spent"):
            assert sum(each["amount"] for each in moved) == entry["amount"], entry
        else:
            assert moved == []
        if entry["account"] == "available":
            for each in moved:
                remaining[each["lot_id"]] += each["amount"]
    assert remaining == {id_: lot["remaining"] for id_, lot in lots.items()}


async def test_what_returns_to_a_lot_that_is_over_names_its_job(service: Service) -> None:
    tenant = await service.tenant(credits=0)
    lots = PostgresLots(service.database)
    gift = (await lots.grant(Grant(tenant.id, 2, "a gift"), by=OPERATOR)).lot.id
    held = await tenant.posted(unique("a vault [sim:hang]"), n=2)
    await tenant.generating(held["id"])
    await lots.expire(gift, by=OPERATOR)
    [lot] = await all_of(tenant, "/v1/credits/lots")
    assert (lot["status"], lot["held"], lot["expired"]) == ("expired", 2, 0)

    await tenant.http.post(f"/v1/generations/{held['id']}/cancel")
    await tenant.ended(held["id"])
    gone = [
        entry
        for entry in await all_of(tenant, "/v1/credits/entries")
        if (entry["kind"], entry["account"]) == ("expire_lot", "available")
    ]
    assert [(entry["amount"], entry["generation_id"]) for entry in gone] == [(-2, held["id"])]
    statement = await tenant.get(f"/v1/credits/statements/{this_month()}")
    assert (statement["expired"], statement["closing"]["credits"], statement["adds_up"]) == (2, 0, True)
