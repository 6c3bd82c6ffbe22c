"""When fal is enabled."""

import pytest

from adapters.providers.fal.settings import FalSettings


def test_without_the_accounts_id_the_key_is_rejected() -> None:
    with pytest.raises(ValueError, match="FAL_USER_ID"):
        _ = FalSettings(key="a-key", user_id=None).is_enabled


def test_hosts_are_separated_by_commas(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAL_RESULT_HOSTS", "one.test, *.two.test,")
    assert FalSettings().result_hosts == ("one.test", "*.two.test")


@pytest.mark.parametrize(("value", "rate"), [("5", 5.0), ("0.5", 0.5)])
def test_the_submit_rate_is_read_from_its_variable(
    monkeypatch: pytest.MonkeyPatch, value: str, rate: float
) -> None:
    monkeypatch.setenv("FAL_SUBMITS_PER_SECOND", value)
    assert FalSettings().submits_per_second == rate
