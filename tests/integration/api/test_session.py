"""What a client may know of its key."""

from datetime import UTC, datetime, timedelta

from adapters.database.tenants import PostgresTenants
from domain.audit import Actor
from domain.auth import Scope
from tests.integration.api.pictures import PICTURE
from tests.integration.api.service import PRICE, Service, Tenant, unique


async def test_a_session_says_who_the_key_is_and_what_is_left(service: Service, tenant: Tenant) -> None:
    tenants = PostgresTenants(service.database)
    limits = {"max_open_generations": 3, "max_files": 2, "read_burst": 50, "reads_per_second": 0.01}
    await tenants.set_limits(tenant.id, limits, by=Actor("an operator"))
    await tenant.ended((await tenant.posted(unique("a fox"), n=2))["id"])
    assert (await tenant.http.post("/v1/files", files={"file": PICTURE})).status_code == 201

    session = await tenant.get("/v1/session")

    assert session["tenant_id"] == tenant.id
    key = session["key"]
    assert (key["id"], key["name"], key["scopes"], key["expires_at"]) == (
        *(tenant.key_id, ""),
        [scope.value for scope in Scope],
        None,
    )
    assert datetime.fromisoformat(key["created_at"]) <= datetime.now(UTC) + timedelta(minutes=5)
    balance = {name: session["credits"][name] for name in ("available", "held", "spent", "owed")}
    assert balance == {"available": 100 - 2 * PRICE, "held": 0, "spent": 2 * PRICE, "owed": 0}
    assert session["limits"] == {
        "open_generations": {"used": 0, "max": 3},
        "waiting_generations": {"used": 0, "max": 5000},
        "files": {"used": 1, "max": 2},
        "file_bytes": {"used": len(PICTURE), "max": 10_000_000_000},
        "uncharged_credits": {"used": 0, "max": 10_000},
    }
    rates = {rate["policy"]: rate for rate in session["rates"]}
    assert rates.keys() == {"create", "read", "cancel"}
    assert (rates["read"]["quota"], rates["read"]["window_seconds"]) == (50, 5000)
    again = await tenant.http.get("/v1/session")
    left = {rate["policy"]: rate["remaining"] for rate in again.json()["rates"]}["read"]
    assert left == rates["read"]["remaining"] - 1
    assert again.headers["ratelimit"].startswith(f'"read";r={left};')


async def test_any_key_has_a_session_and_only_some_see_credits(service: Service) -> None:
    for scope in Scope:
        tenant = await service.tenant(scopes=[scope])
        session = await tenant.get("/v1/session")
        assert session["key"]["scopes"] == [scope.value]
        assert (session["credits"] is not None) is (scope is Scope.READ_CREDITS)


async def test_a_session_names_a_key_and_its_expiry_and_holds_no_secret(
    service: Service, tenant: Tenant
) -> None:
    key = await PostgresTenants(service.database).create_key(
        tenant.id, [Scope.WRITE_GENERATIONS], name="The shop", lifetime=timedelta(days=1)
    )
    http = await service.client(service.url, key.api_key)
    answer = await http.get("/v1/session")
    shown = answer.json()["key"]
    assert (shown["name"], shown["id"]) == ("The shop", key.key_id)
    assert shown["expires_at"] is not None
    assert key.api_key.rpartition("_")[2] not in answer.text


async def test_a_session_needs_a_key(service: Service) -> None:
    stranger = await service.client(service.url)
    assert (await stranger.get("/v1/session")).status_code == 401
