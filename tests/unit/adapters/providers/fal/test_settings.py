"""When fal is enabled."""

import pytest

from adapters.providers.fal.settings import FalSettings
from adapters.providers.fal.spec import SPEC
from adapters.providers.http.client import provider_client
from domain.keyring import Keyring


@pytest.mark.parametrize("user_id", [None, ""])
async def test_without_the_accounts_id_no_webhook_is_read_and_no_process_starts(user_id: str | None) -> None:
    settings = FalSettings(key="a-key", user_id=user_id)
    async with provider_client() as http:
        with pytest.raises(ValueError, match="FAL_USER_ID"):
            SPEC.webhook_reader(settings, http, Keyring.of("master"))
    [problem] = settings.problems()
    assert (problem.setting, problem.always) == ("FAL_USER_ID", True)


def test_hosts_are_separated_by_commas(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAL_RESULT_HOSTS", "one.test, *.two.test,")
    assert FalSettings().result_hosts == ("one.test", "*.two.test")


@pytest.mark.parametrize(("value", "rate"), [("5", 5.0), ("0.5", 0.5)])
def test_the_submit_rate_is_read_from_its_variable(
    monkeypatch: pytest.MonkeyPatch, value: str, rate: float
) -> None:
    monkeypatch.setenv("FAL_SUBMITS_PER_SECOND", value)
    assert FalSettings().submits_per_second == rate
