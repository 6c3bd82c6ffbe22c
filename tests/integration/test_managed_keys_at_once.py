"""Keys that act on one another at once, in the real database: by what the rows say while they are locked."""

import asyncio
import random
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import text

from adapters.database.engine import Database
from adapters.database.managed_keys import PostgresManagedKeys
from adapters.database.tenants import PostgresTenants
from domain.audit import Actor
from domain.auth import Scope
from domain.errors import (
    KeyExceedsOwn,
    PermanentError,
    TenantSuspended,
    TooManyApiKeys,
    Unauthenticated,
)
from domain.tenant import KEY_LIMITS
from tests.support.eventually import eventually
from tests.support.key_callers import MANY, READ, admin_of, made, narrow
from tests.support.time_limits import scaled

OPERATOR = Actor("ada@desk", "a test")
_WAITING = text("SELECT count(*) AS waiting FROM pg_locks WHERE NOT granted")


@pytest.fixture
def tenants(database: Database) -> PostgresTenants:
    return PostgresTenants(database)


@pytest.fixture
def keys(database: Database) -> PostgresManagedKeys:
    return PostgresManagedKeys(database)


async def test_of_two_keys_that_revoke_each_other_one_stays(
    tenants: PostgresTenants, keys: PostgresManagedKeys
) -> None:
    for _ in range(5):
        one = await admin_of(tenants)
        two = await admin_of(tenants, one.tenant_id)
        async with asyncio.timeout(scaled(20)):
            ended = await asyncio.gather(
                keys.revoke_own_key(one, two.key_id),
                keys.revoke_own_key(two, one.key_id),
                return_exceptions=True,
            )
        assert [type(each) for each in ended if each is not None] == [Unauthenticated]
        listed = await keys.list_keys(one.tenant_id, after=None, limit=9)
        assert sum(key.revoked_at is None for key in listed) == 1


async def test_posts_at_once_do_not_exceed_the_number_of_keys(
    tenants: PostgresTenants, keys: PostgresManagedKeys
) -> None:
    caller = await admin_of(tenants)
    callers = [caller, *[await admin_of(tenants, caller.tenant_id) for _ in range(3)]]
    await tenants.create_key(caller.tenant_id, [Scope.READ_CREDITS], lifetime=timedelta(microseconds=1))
    async with asyncio.timeout(scaled(60)):
        ended = await asyncio.gather(
            *(keys.add_key(each, "", {"scopes": READ}, max_keys=7) for each in callers * 3),
            return_exceptions=True,
        )
    assert sorted(type(each).__name__ for each in ended) == ["TooManyApiKeys"] * 9 + ["tuple"] * 3
    first = next(each[0].id for each in ended if isinstance(each, tuple))
    await keys.revoke_own_key(caller, first)
    await keys.add_key(caller, "", {"scopes": READ}, max_keys=7)
    with pytest.raises(TooManyApiKeys, match="at most 7"):
        await keys.add_key(caller, "", {"scopes": READ}, max_keys=7)


async def test_keys_that_edit_one_another_at_random_never_gain(
    tenants: PostgresTenants, keys: PostgresManagedKeys
) -> None:
    """Whatever keys do to one another at once: none may do more than the first."""
    dice = random.Random(7)  # noqa: S311 - which edits are tried
    first = await narrow(tenants)
    most = (await keys.get_key(first.tenant_id, first.key_id)).powers
    callers = [first]
    for _ in range(4):
        new = (await keys.add_key(first, "", {}, max_keys=MANY))[1]
        callers.append(await tenants.authenticate(new.api_key))

    def changes() -> dict[str, Any]:
        every: dict[str, Any] = {
            "monthly_budget_credits": dice.choice([None, 4, 10, 11]),
            "max_held_credits": dice.choice([None, 4, 10, 11]),
            "limits": {dice.choice(KEY_LIMITS): dice.choice([None, 4.0, 10.0, 11.0])},
            "expires_at": dice.choice([None, most.expires_at, datetime.now(UTC) + timedelta(hours=1)]),
        }
        return {name: every[name] for name in dice.sample(sorted(every), dice.randint(1, 3))}

    async def act() -> None:
        caller, target = dice.choice(callers), dice.choice(callers)
        try:
            if dice.random() < 0.3:
                await keys.add_key(caller, "", changes(), max_keys=MANY)
            else:
                await keys.change_key(caller, target.key_id, changes())
        except KeyExceedsOwn:
            pass

    async with asyncio.timeout(scaled(60)):
        for _ in range(10):
            await asyncio.gather(*(act() for _ in range(12)))
    for key in await keys.list_keys(first.tenant_id, after=None, limit=1000):
        assert not key.powers.beyond(most), key


async def test_a_caller_acts_by_what_its_key_is_now(
    tenants: PostgresTenants, keys: PostgresManagedKeys
) -> None:
    """The caller was authenticated before: what it held then counts for nothing."""
    caller, other = await admin_of(tenants), None
    other = await admin_of(tenants, caller.tenant_id)
    await tenants.set_budget(caller.key_id, {"monthly_budget_credits": 2}, by=OPERATOR)
    with pytest.raises(KeyExceedsOwn):
        await made(keys, caller, {"scopes": READ, "monthly_budget_credits": 3})
    child, _ = await made(keys, caller)
    assert child.powers.monthly_budget_credits == 2
    await tenants.suspend(caller.tenant_id, by=OPERATOR)
    with pytest.raises(TenantSuspended):
        await made(keys, caller)
    await tenants.resume(caller.tenant_id, by=OPERATOR)
    await keys.revoke_own_key(other, caller.key_id)
    for act in (
        made(keys, caller),
        keys.change_key(caller, child.id, {"name": "x"}),
        keys.revoke_own_key(caller, other.key_id),
    ):
        with pytest.raises(Unauthenticated):
            await act


@pytest.mark.parametrize(
    ("change", "error"),
    [("revoked_at = now()", Unauthenticated), ("monthly_budget_credits = 2", KeyExceedsOwn)],
    ids=["revoked", "narrowed"],
)
async def test_what_an_operator_is_changing_is_waited_for(
    database: Database,
    tenants: PostgresTenants,
    keys: PostgresManagedKeys,
    change: str,
    error: type[PermanentError],
) -> None:
    caller = await admin_of(tenants)
    given = {"scopes": READ, "monthly_budget_credits": 3}
    async with database.begin() as session:
        changed = text(f"UPDATE api_keys SET {change} WHERE id = :id")  # noqa: S608 - constants
        await session.execute(changed, {"id": caller.key_id})
        acting = asyncio.ensure_future(keys.add_key(caller, "", given, max_keys=MANY))

        async def has_acted_or_waits() -> bool:
            return acting.done() or bool((await database.call(_WAITING, {}))[0].waiting)

        await eventually(has_acted_or_waits, 20)
    with pytest.raises(error):
        await acting
