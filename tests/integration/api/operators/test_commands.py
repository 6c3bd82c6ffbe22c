"""Operators' commands for keys, lots, take-backs and thresholds, each with its line in the audit trail."""

import pytest

from tests.integration.api.operators.billing import payment_id
from tests.integration.api.service import Service, Tenant
from tests.integration.api.test_admin_commands import printed

WHY = ("--actor", "ada", "--reason", "ticket 7")


@pytest.fixture
async def tenant(service: Service) -> Tenant:
    return await service.tenant(credits=0)


async def test_a_key_of_a_billing_system_is_made_listed_and_revoked(service: Service, tenant: Tenant) -> None:
    code, made = await printed(service, "create-operator-key", "billing", "--expires-in-days", "30", *WHY)
    assert (code, made["operator_key"][:5]) == (0, "dkop_")
    http = await service.client(service.url, made["operator_key"])
    path = f"/v1/admin/tenants/{tenant.id}/credits"
    assert (await http.get(path)).status_code == 200

    listed = (await printed(service, "list-operator-keys"))[1]["keys"]
    [line] = [each for each in listed if each["key_id"] == made["key_id"]]
    assert (line["name"], line["scopes"]) == ("billing", ["grants:write", "grants:read"])
    assert (line["is_valid"], line["last_used_at"] is None) == (True, False)
    assert made["operator_key"] not in str(listed)

    assert await printed(service, "revoke-operator-key", made["key_id"], *WHY) == (0, {"revoked": True})
    assert (await http.get(path)).status_code == 401
    assert await service.words(
        "SELECT actor || ' ' || action || ' ' || reason FROM audit_events"
        " WHERE subject = :key AND tenant_id IS NULL ORDER BY id",
        key=made["key_id"],
    ) == ["ada create_operator_key ticket 7", "ada revoke_operator_key ticket 7"]


@pytest.mark.parametrize("scopes", ["", "credits:read", "grants:write,generations:read"])
async def test_a_key_of_an_operator_has_no_scope_of_a_tenant(service: Service, scopes: str) -> None:
    code, text = await printed(service, "create-operator-key", "billing", "--scopes", scopes)
    assert code == 1
    assert "grants:write, grants:read" in text


async def test_lots_are_granted_taken_back_expired_and_voided(service: Service, tenant: Tenant) -> None:
    payment = payment_id()
    first = (await printed(service, "grant", tenant.id, "10", "--reference", "first"))[1]
    again = (await printed(service, "grant", tenant.id, "10", "--reference", "first"))[1]
    assert (first["available_credits"], first["is_new"]) == (10, True)
    assert again == first | {"is_new": False}
    of_payment = ("--reference", payment, "--payment", "--category", "promotional", "--priority", "5")
    times = ("--effective-at", "2026-01-01T00:00:00Z", "--expires-at", "2090-01-01T00:00:00+01:00")
    paid = (await printed(service, "grant", tenant.id, "20", *of_payment, *times, *WHY))[1]
    assert paid["available_credits"] == 30

    code, taken = await printed(
        service, "take-back", tenant.id, payment, "--reference", "re_1", "--amount", "5", *WHY
    )
    assert (code, taken["state"], taken["applied_credits"]) == (0, "applied", 5)
    early = (await printed(service, "take-back", tenant.id, payment_id(), "--reference", "re_1", *WHY))[1]
    assert (early["state"], early["amount_credits"]) == ("pending", None)

    lots = (await printed(service, "list-lots", tenant.id))[1]
    assert (lots["available_credits"], lots["owed_credits"]) == (25, 0)
    newest, oldest = lots["lots"]
    assert (newest["id"], newest["category"], newest["priority"]) == (paid["lot_id"], "promotional", 5)
    assert (newest["remaining"], newest["taken_back"]) == (15, 5)
    assert newest["expires_at"].startswith("2089-12-31T23:00:00")

    ended = (await printed(service, "expire-lot", newest["id"], *WHY))[1]["lot"]
    assert (ended["remaining"], ended["expired"]) == (0, 15)
    voided = (await printed(service, "void-lot", oldest["id"], *WHY))[1]["lot"]
    assert (voided["remaining"], voided["voided"]) == (0, 10)
    assert (await printed(service, "list-lots", tenant.id))[1]["lots"] == []
    every = (await printed(service, "list-lots", tenant.id, "--all"))[1]["lots"]
    assert [lot["id"] for lot in every] == [newest["id"], oldest["id"]]

    audited = await service.words(
        "SELECT action FROM audit_events WHERE tenant_id = :id AND actor = 'ada' AND reason = 'ticket 7'"
        " ORDER BY id",
        id=tenant.id,
    )
    assert audited == ["grant_credits", *["take_back_credits"] * 2, "expire_lot", "void_lot"]


async def test_thresholds_are_set(service: Service, tenant: Tenant) -> None:
    code, done = await printed(service, "set-thresholds", tenant.id, "20", "100", *WHY)
    assert code == 0
    assert [each["threshold_credits"] for each in done["thresholds"]] == [100, 20]
    assert await printed(service, "set-thresholds", tenant.id, *WHY) == (0, {"thresholds": []})


@pytest.mark.parametrize(
    "arguments",
    [
        ("grant", "TENANT", "10", "--reference", "x", "--expires-at", "2090-01-01"),
        ("grant", "TENANT", "10", "--reference", "x", "--expires-at", "9999-12-31T23:00:00-05:00"),
        ("grant", "ten_unknown", "10", "--reference", "x"),
        ("take-back", "TENANT", "pi", "--reference", "re", "--amount", "0", *WHY),
        ("take-back", "TENANT", "pi", "--reference", "re"),
        ("void-lot", "lot_unknown", *WHY),
        ("list-lots", "ten_unknown"),
        ("set-thresholds", "TENANT", "0", *WHY),
    ],
    ids=" ".join,
)
async def test_what_cannot_be_done_is_said_and_leaves_nothing(
    service: Service, tenant: Tenant, arguments: tuple[str, ...]
) -> None:
    code, text = await printed(service, *(tenant.id if each == "TENANT" else each for each in arguments))
    assert code in (1, 2), text
    assert "Traceback" not in text
    actions = await service.words("SELECT action FROM audit_events WHERE tenant_id = :id", id=tenant.id)
    assert sorted(actions) == ["create_key", "create_tenant"]
