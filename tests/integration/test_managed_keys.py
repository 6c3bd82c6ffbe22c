"""Keys that keys make and change, in the real database: by what the rows say while they are locked."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from adapters.database.audit import audit_events
from adapters.database.engine import Database
from adapters.database.managed_keys import PostgresManagedKeys
from adapters.database.tenant_lists import key_lines
from adapters.database.tenants import PostgresTenants
from domain.audit import Actor
from domain.auth import Scope
from domain.errors import (
    ApiKeyEnded,
    ApiKeyNotFound,
    InvalidInput,
    KeyExceedsOwn,
    PermanentError,
    ScopeMissing,
)
from domain.keys import KeyPosition, KeyPowers
from domain.tenant import KEY_LIMITS
from tests.support.key_callers import MANY, READ, admin_of, made, narrow

OPERATOR = Actor("ada@desk", "a test")


@pytest.fixture
def tenants(database: Database) -> PostgresTenants:
    return PostgresTenants(database)


@pytest.fixture
def keys(database: Database) -> PostgresManagedKeys:
    return PostgresManagedKeys(database)


async def test_a_key_is_made_with_what_is_given_and_else_as_its_maker(
    tenants: PostgresTenants, keys: PostgresManagedKeys
) -> None:
    caps: dict[str, Any] = {"limits": {"read_burst": 5.0}, "monthly_budget_credits": 9, "max_held_credits": 8}
    caller = await admin_of(tenants, lifetime=timedelta(days=1), **caps)
    own = (await keys.get_key(caller.tenant_id, caller.key_id)).powers
    key, api_key = await made(keys, caller, {"scopes": READ, "monthly_budget_credits": 3})
    assert key.powers == KeyPowers(READ, own.expires_at, {"read_burst": 5.0}, 3, 8)
    assert (key.created_by, key.name, key.last_used_at) == (caller.key_id, "a child", None)
    assert await keys.get_key(caller.tenant_id, key.id) == key
    child = await tenants.authenticate(api_key)
    assert (child.scopes, child.monthly_budget_credits, child.max_held_credits) == (READ, 3, 8)
    assert child.key_limits == {"read_burst": 5.0}


# What a key that expires in a day, with caps of 10, may not make, nor be edited to; and the field of that.
EXCEEDING: list[tuple[dict[str, Any], str]] = [
    ({"scopes": frozenset(Scope)}, "scopes"),
    ({"expires_at": None}, "expires_at"),
    ({"expires_at": datetime(2500, 1, 1, tzinfo=UTC)}, "expires_at"),
    ({"monthly_budget_credits": None}, "monthly_budget_credits"),
    ({"monthly_budget_credits": 11}, "monthly_budget_credits"),
    ({"max_held_credits": None}, "max_held_credits"),
    ({"max_held_credits": 11}, "max_held_credits"),
    *(({"limits": {name: value}}, f"limits.{name}") for name in KEY_LIMITS for value in (None, 11.0)),
]

IDS = [f"{field}-{number}" for number, (_, field) in enumerate(EXCEEDING)]


@pytest.mark.parametrize(("given", "field"), EXCEEDING, ids=IDS)
async def test_what_exceeds_its_maker_is_neither_made_nor_edited(
    tenants: PostgresTenants, keys: PostgresManagedKeys, given: dict[str, Any], field: str
) -> None:
    caller = await narrow(tenants)
    child, _ = await made(keys, caller)
    listed = await keys.list_keys(caller.tenant_id, after=None, limit=100)

    with pytest.raises(KeyExceedsOwn) as refused:
        await keys.add_key(caller, "", {"scopes": READ} | given, max_keys=MANY)
    assert [name for name, _ in refused.value.errors] == [field]
    for target in (child.id, caller.key_id):
        # Of scopes, an edit never adds any, whoever asks.
        with pytest.raises(InvalidInput if field == "scopes" else KeyExceedsOwn, match=field):
            await keys.change_key(caller, target, given)

    assert await keys.list_keys(caller.tenant_id, after=None, limit=100) == listed


@pytest.mark.parametrize(("given", "field"), EXCEEDING, ids=IDS)
async def test_a_key_that_may_do_more_is_not_edited_by_one_that_may_less(
    database: Database,
    tenants: PostgresTenants,
    keys: PostgresManagedKeys,
    given: dict[str, Any],
    field: str,
) -> None:
    caller = await narrow(tenants)
    admin = await admin_of(tenants, caller.tenant_id)
    base = dict.fromkeys(KEY_LIMITS, 1.0) | given.get("limits", {})
    low = {"expires_at": datetime.now(UTC) + timedelta(hours=1), "monthly_budget_credits": 1}
    wide = {"scopes": READ, **low, "max_held_credits": 1, **given, "limits": base}
    target, _ = await made(keys, admin, wide)
    # What would lower it to within the caller's own is refused, too.
    lowered = {**low, "scopes": READ, "max_held_credits": 1, "limits": dict.fromkeys(KEY_LIMITS, 1.0)}
    for change in ({"name": "mine"}, lowered):
        with pytest.raises(KeyExceedsOwn, match=field):
            await keys.change_key(caller, target.id, change)
    assert (await keys.get_key(caller.tenant_id, target.id)).powers == target.powers
    await keys.revoke_own_key(caller, target.id)
    assert (await keys.get_key(caller.tenant_id, target.id)).revoked_at is not None


async def test_a_key_lowers_itself_and_cannot_raise_itself_again(
    tenants: PostgresTenants, keys: PostgresManagedKeys
) -> None:
    caller = await admin_of(tenants)
    await keys.change_key(caller, caller.key_id, {"monthly_budget_credits": 5, "limits": {"read_burst": 3.0}})
    for given in (
        {"monthly_budget_credits": None},
        {"monthly_budget_credits": 6},
        {"limits": {"read_burst": None}},
    ):
        with pytest.raises(KeyExceedsOwn):
            await keys.change_key(caller, caller.key_id, given)
    scopes = frozenset({Scope.READ_GENERATIONS})
    assert (await keys.change_key(caller, caller.key_id, {"scopes": scopes})).powers.scopes == scopes
    with pytest.raises(ScopeMissing):
        await keys.change_key(caller, caller.key_id, {"name": "again"})


async def test_a_key_that_is_over_is_not_edited(tenants: PostgresTenants, keys: PostgresManagedKeys) -> None:
    caller = await admin_of(tenants)
    revoked, _ = await made(keys, caller)
    await keys.revoke_own_key(caller, revoked.id)
    expired = await tenants.create_key(
        caller.tenant_id, [Scope.READ_CREDITS], lifetime=timedelta(microseconds=1)
    )
    for key_id in (revoked.id, expired.key_id):
        with pytest.raises(ApiKeyEnded):
            await keys.change_key(caller, key_id, {"expires_at": None})
    with pytest.raises(InvalidInput, match="expires_at"):
        await keys.change_key(caller, caller.key_id, {"expires_at": datetime(2020, 1, 1, tzinfo=UTC)})
    with pytest.raises(InvalidInput, match="expires_at"):
        await made(keys, caller, {"scopes": READ, "expires_at": datetime(2020, 1, 1, tzinfo=UTC)})


async def test_another_tenants_key_is_like_none(tenants: PostgresTenants, keys: PostgresManagedKeys) -> None:
    caller, stranger = await admin_of(tenants), await admin_of(tenants)
    before = await keys.get_key(stranger.tenant_id, stranger.key_id)
    for key_id in (stranger.key_id, "0" * 16):
        with pytest.raises(ApiKeyNotFound):
            await keys.get_key(caller.tenant_id, key_id)
        with pytest.raises(ApiKeyNotFound):
            await keys.change_key(caller, key_id, {"name": "mine"})
        with pytest.raises(ApiKeyNotFound):
            await keys.revoke_own_key(caller, key_id)
    assert [key.id for key in await keys.list_keys(caller.tenant_id, after=None, limit=9)] == [caller.key_id]
    assert await keys.get_key(stranger.tenant_id, stranger.key_id) == before


async def test_every_act_is_in_the_audit_trail_once_and_holds_no_secret_and_no_name(
    database: Database, tenants: PostgresTenants, keys: PostgresManagedKeys
) -> None:
    caller = await admin_of(tenants)
    child, api_key = await made(keys, caller)
    await keys.change_key(caller, child.id, {"name": "Ada's", "max_held_credits": 3})
    for _ in range(2):
        await keys.revoke_own_key(caller, child.id)
    with pytest.raises(PermanentError):
        await keys.change_key(caller, child.id, {"name": "too late"})
    found = [
        event for event in await audit_events(database, caller.tenant_id, 100) if event.subject == child.id
    ]
    assert [(event.action, event.actor) for event in reversed(found)] == [
        (action, f"key:{caller.key_id}") for action in ("create_key", "change_key", "revoke_key")
    ]
    assert found[1].details == {"fields": ["max_held_credits", "name"], "max_held_credits": 3}
    assert found[2].details["scopes"] == ["generations:read"]
    assert not {api_key.rpartition("_")[2], "a child", "Ada's"} & set(str(found).split("'"))


async def test_keys_are_listed_newest_first_page_by_page(
    tenants: PostgresTenants, keys: PostgresManagedKeys
) -> None:
    caller = await admin_of(tenants)
    expected = [caller.key_id, *[(await made(keys, caller))[0].id for _ in range(5)]][::-1]
    found: list[str] = []
    after: KeyPosition | None = None
    while page := await keys.list_keys(caller.tenant_id, after=after, limit=2):
        found += [key.id for key in page]
        after = KeyPosition(page[-1].created_at, page[-1].id)
    assert found == expected


async def test_a_budget_is_set_by_an_operator_and_listed(
    database: Database, tenants: PostgresTenants
) -> None:
    caller = await admin_of(tenants, monthly_budget_credits=4)
    changed = await tenants.set_budget(caller.key_id, {"max_held_credits": 7}, by=OPERATOR)
    assert changed == {"monthly_budget_credits": 4, "max_held_credits": 7}
    await tenants.set_budget(caller.key_id, {"monthly_budget_credits": None}, by=OPERATOR)
    [line] = await key_lines(database, caller.tenant_id)
    assert (line.monthly_budget_credits, line.max_held_credits, line.month_charged_credits) == (None, 7, 0)
    event = (await audit_events(database, caller.tenant_id, 1))[0]
    assert (event.action, event.actor, event.reason) == ("set_budget", OPERATOR.name, OPERATOR.reason)
    with pytest.raises(ApiKeyNotFound):
        await tenants.set_budget("0" * 16, {"max_held_credits": 7}, by=OPERATOR)
