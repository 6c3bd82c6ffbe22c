"""When Replicate's webhooks are requested."""

from adapters.providers.replicate.settings import ReplicateSettings
from adapters.providers.replicate.spec import SPEC

OLD = "whsec_b2xkIHNlY3JldA=="  # "old secret"


def test_webhooks_need_a_signing_secret() -> None:
    without = ReplicateSettings(api_token="a-token", webhook_secrets=())  # noqa: S106 - of nobody
    with_secret = ReplicateSettings(api_token="a-token", webhook_secrets=OLD)  # noqa: S106

    assert not SPEC.reads_webhooks(without)
    assert SPEC.reads_webhooks(with_secret)


def test_a_secret_without_a_token_enables_nothing() -> None:
    settings = ReplicateSettings(api_token=None, webhook_secrets=OLD)
    assert not SPEC.reads_webhooks(settings)
