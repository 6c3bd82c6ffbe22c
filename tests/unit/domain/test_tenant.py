"""Limits of a tenant as they are written and read."""

import pytest

from domain.errors import InvalidInput
from domain.tenant import KEY_LIMITS, NAMES, Rate, RatePolicy, TenantLimits, read_limit


@pytest.mark.parametrize("policy", RatePolicy)
def test_every_kind_of_request_has_a_rate(policy: RatePolicy) -> None:
    limits = TenantLimits().with_overrides({f"{policy}s_per_second": 2, f"{policy}_burst": 10})
    assert limits.rate(policy) == Rate(2, 10)
    assert limits.rate(policy).window_seconds == 5


def test_the_defaults_admit_a_burst_of_two_thousand() -> None:
    limits = TenantLimits()
    assert min(limits.create_burst, limits.max_open_generations, limits.max_waiting_generations) >= 2000


def test_a_name_that_is_gone_changes_nothing() -> None:
    assert TenantLimits().with_overrides({"max_castles": 1}) == TenantLimits()


def test_numbers_from_json_get_their_types() -> None:
    limits = TenantLimits().with_overrides({"create_burst": 5.0, "creates_per_second": 1})
    assert (limits.create_burst, limits.creates_per_second) == (5, 1.0)
    assert isinstance(limits.create_burst, int)


@pytest.mark.parametrize("name", NAMES)
def test_a_limit_is_read(name: str) -> None:
    assert read_limit(name, "7") == 7


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("max_castles", "1"),
        ("create_burst", "0"),
        ("create_burst", "1.5"),
        ("create_burst", "-1"),
        ("creates_per_second", "0"),
        ("creates_per_second", "nan"),
        ("creates_per_second", "inf"),
        ("max_files", "-1"),
        ("max_files", ""),
        ("max_files", "10000000000000000"),
    ],
)
def test_a_bad_limit_names_itself(name: str, value: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        read_limit(name, value)
    assert [field for field, _ in caught.value.errors] == [name]


def test_a_key_has_rates_only() -> None:
    with pytest.raises(InvalidInput, match="max_files"):
        read_limit("max_files", "1", known=KEY_LIMITS)
