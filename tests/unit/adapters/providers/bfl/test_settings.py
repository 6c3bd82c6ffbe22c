"""When BFL's webhooks are requested."""

import pytest

from adapters.providers.bfl.settings import BflSettings
from adapters.providers.bfl.spec import SPEC


@pytest.mark.parametrize(
    ("key", "webhooks", "is_reading"),
    [("a-key", False, False), ("a-key", True, True), (None, True, False), ("", True, False)],
)
def test_webhooks_are_off_unless_they_are_switched_on(
    key: str | None, webhooks: bool, is_reading: bool
) -> None:
    assert SPEC.reads_webhooks(BflSettings(api_key=key, webhooks=webhooks)) is is_reading
