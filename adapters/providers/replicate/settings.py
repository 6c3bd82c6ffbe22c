"""The settings of Replicate, `REPLICATE_…`."""

from collections.abc import Iterator

from pydantic_settings import SettingsConfigDict

from adapters.providers.http.standard_webhooks import MIN_KEY_BYTES, signing_key
from adapters.providers.settings import Credential, HostList, HttpAddress, JobProviderSettings, SecretList
from domain.setting_checks import SettingProblem


class ReplicateSettings(JobProviderSettings):
    """webhook_secrets: verify webhooks; without one, none is requested."""

    model_config = SettingsConfigDict(env_prefix="REPLICATE_")

    api_token: Credential = None
    webhook_secrets: SecretList = ()
    url: HttpAddress = "https://api.replicate.com/v1"
    result_hosts: HostList = ("replicate.delivery", "*.replicate.delivery")

    @property
    def is_enabled(self) -> bool:
        return self.api_token is not None

    def problems(self) -> Iterator[SettingProblem]:
        yield from super().problems()
        setting, fix = "REPLICATE_WEBHOOK_SECRETS", "Copy what GET /v1/webhooks/default/secret returns"
        for number, secret in enumerate(self.webhook_secrets, 1):
            try:
                size = len(signing_key(secret.get_secret_value()))
            except ValueError as error:
                yield SettingProblem(setting, f"number {number}: {error}", fix, always=True)
                continue
            if size < MIN_KEY_BYTES:
                yield SettingProblem(setting, f"number {number} has {size} bytes, under {MIN_KEY_BYTES}", fix)

    @property
    def reads_webhooks(self) -> bool:
        return bool(self.webhook_secrets)
