"""No key makes or edits one that may do more than itself, over scopes, expiry and caps."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import product
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.http.schemas.api_keys import KeyLimits
from domain.auth import DEFAULT_SCOPES, PRESETS, Caller, Scope, expand_scopes, scopes_beyond
from domain.errors import InvalidInput, ScopeMissing
from domain.keys import KeyPowers
from domain.tenant import KEY_LIMITS

_NOW = datetime(2026, 11, 27, tzinfo=UTC)
_MOMENTS = st.none() | st.integers(0, 3).map(lambda day: _NOW + timedelta(days=day))
_CAPS = st.none() | st.integers(0, 3)
_LIMITS = st.dictionaries(st.sampled_from(KEY_LIMITS), st.integers(1, 3).map(float))
_SCOPES = st.frozensets(st.sampled_from(tuple(Scope)))
POWERS = st.builds(KeyPowers, _SCOPES, _MOMENTS, _LIMITS, _CAPS, _CAPS)
_GIVEN = st.fixed_dictionaries(
    {},
    optional={
        "scopes": _SCOPES,
        "expires_at": _MOMENTS,
        "limits": st.dictionaries(st.sampled_from(KEY_LIMITS), st.none() | st.integers(1, 3).map(float)),
        "monthly_budget_credits": _CAPS,
        "max_held_credits": _CAPS,
    },
)


def acts(powers: KeyPowers) -> Iterator[tuple[object, ...]]:
    """Yield what a key may do, one by one: the oracle, which knows nothing of comparing two keys."""
    same = {Scope.MANAGE_WEBHOOKS, Scope.WRITE_WEBHOOKS}
    yield from (("may", each) for scope in powers.scopes for each in (same if scope in same else {scope}))
    moments = [_NOW + timedelta(days=day) for day in range(5)]
    yield from (("use", each) for each in moments if powers.expires_at is None or each < powers.expires_at)
    caps = {
        "budget": powers.monthly_budget_credits,
        "held": powers.max_held_credits,
        **{name: powers.limits.get(name) for name in KEY_LIMITS},
    }
    for name, cap in caps.items():
        yield from ((name, amount) for amount in range(5) if cap is None or amount <= cap)


@given(own=POWERS, wanted=POWERS)
def test_a_key_is_within_another_if_it_can_do_nothing_that_the_other_cannot(
    own: KeyPowers, wanted: KeyPowers
) -> None:
    assert (not wanted.beyond(own)) == ({*acts(wanted)} <= {*acts(own)})


@given(own=POWERS, changes=_GIVEN)
def test_what_is_not_given_is_as_before_and_never_beyond(own: KeyPowers, changes: dict[str, Any]) -> None:
    assert own.changed({}) == own
    made = own.changed(changes)
    for field, _ in made.beyond(own):
        name = field.partition(".")[0]
        assert name in changes, f"{field} was not given"
    for name in {"scopes", "expires_at", "monthly_budget_credits", "max_held_credits"} - changes.keys():
        assert getattr(made, name) == getattr(own, name)


@given(first=POWERS, second=_GIVEN, third=_GIVEN)
def test_a_chain_of_keys_never_grows(first: KeyPowers, second: dict[str, Any], third: dict[str, Any]) -> None:
    made = first.changed(second)
    if made.beyond(first):
        return
    grandchild = made.changed(third)
    if not grandchild.beyond(made):
        assert not grandchild.beyond(first)


def test_each_field_that_exceeds_is_named_with_the_most() -> None:
    own = KeyPowers(frozenset({Scope.READ_CREDITS}), _NOW, {"read_burst": 2.0}, 5, 6)
    wanted = KeyPowers(frozenset(Scope), None, {}, 9, None)
    told = dict(wanted.beyond(own))
    assert told.keys() == {
        *("scopes", "expires_at", "limits.read_burst", "monthly_budget_credits", "max_held_credits"),
    }
    assert "keys:write" in told["scopes"]
    assert _NOW.isoformat() in told["expires_at"]
    assert [told["monthly_budget_credits"], told["max_held_credits"]] == [
        "at most 5, as this API key has",
        "at most 6, as this API key has",
    ]


def test_presets_stand_for_scopes_and_are_not_stored() -> None:
    assert expand_scopes(["read"]) == (Scope.READ_GENERATIONS, Scope.READ_CREDITS)
    assert set(expand_scopes(["write"])) == {*expand_scopes(["read"]), Scope.WRITE_GENERATIONS}
    assert expand_scopes(["admin"]) == tuple(Scope)
    assert expand_scopes(["read", "keys:write", "read"]) == (*expand_scopes(["read"]), Scope.WRITE_KEYS)
    assert not set(PRESETS) & set(Scope)


@pytest.mark.parametrize("names", [[], ["grants:write"], ["read", "root"], [""]])
def test_other_names_of_scopes_are_refused(names: list[str]) -> None:
    with pytest.raises(InvalidInput, match="scopes"):
        expand_scopes(names)


def test_no_tenants_key_can_grant_and_the_default_is_as_it_was() -> None:
    assert not [scope for scope in Scope if scope.startswith("grants")]
    assert [str(scope) for scope in DEFAULT_SCOPES] == [
        *("generations:read", "generations:write", "credits:read", "webhooks:manage"),
    ]


@pytest.mark.parametrize(
    ("own", "asked"), list(product((Scope.MANAGE_WEBHOOKS, Scope.WRITE_WEBHOOKS), repeat=2)), ids=str
)
def test_both_names_of_the_webhooks_scope_are_the_same(own: Scope, asked: Scope) -> None:
    Caller("ten_1", "key_1", frozenset({own})).require(asked)
    assert not scopes_beyond({own}, {asked})


@pytest.mark.parametrize("scope", Scope)
def test_no_other_scope_brings_another(scope: Scope) -> None:
    caller = Caller("ten_1", "key_1", frozenset(Scope) - {scope, Scope.MANAGE_WEBHOOKS, Scope.WRITE_WEBHOOKS})
    with pytest.raises(ScopeMissing):
        caller.require(scope)


def test_every_limit_of_a_key_can_be_sent() -> None:
    assert set(KeyLimits.model_fields) == set(KEY_LIMITS)
