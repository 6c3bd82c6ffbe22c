"""What the settings of all providers have in common.

A provider's class sets `env_prefix` to its name in upper case, so the field `api_key` of `bfl` is the
environment variable `BFL_API_KEY`.
"""

from collections.abc import Iterator
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, PositiveFloat, SecretStr, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from domain.pasted import api_key, http_address, unpasted
from domain.setting_checks import SettingProblem, origin_problem, origins_in

_RISK = "credits would be charged for what a simulator draws there"
_FIX = "Leave it out to use the provider, or accept it for a gateway of yours"


def _split(value: object) -> object:
    if not isinstance(value, str):
        return value
    return tuple(part.strip() for part in value.split(",") if part.strip())


def _empty_is_none(value: object) -> object:
    return value or None


def _api_key(value: SecretStr | None) -> SecretStr | None:
    return None if value is None else SecretStr(api_key(value.get_secret_value()))


# A key that is set to nothing disables its provider, like one that is not set.
Credential = Annotated[SecretStr | None, BeforeValidator(_empty_is_none), AfterValidator(_api_key)]
OptionalText = Annotated[str | None, BeforeValidator(_empty_is_none)]
HttpAddress = Annotated[str, AfterValidator(http_address)]
HostList = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_split)]
SecretList = Annotated[tuple[SecretStr, ...], NoDecode, BeforeValidator(_split)]


def secret(credential: SecretStr | None) -> str:
    """Return the secret of a provider that is enabled."""
    assert credential is not None, "the provider is not enabled"
    return credential.get_secret_value()


class ProviderSettings(BaseSettings):
    """The settings of one provider.

    submits_per_second: Replaces the rate in the catalog.
    """

    model_config = SettingsConfigDict(extra="ignore", hide_input_in_errors=True)

    _unpaste = field_validator("*", mode="before")(unpasted)

    submits_per_second: PositiveFloat | None = None

    @property
    def is_enabled(self) -> bool:
        """Whether there are credentials."""
        raise NotImplementedError

    def problems(self) -> Iterator[SettingProblem]:
        """Yield what is wrong or, in production, unsafe, of an enabled provider."""
        for variable, field in self.variables().items():
            value = getattr(self, field)
            origins = [value] if field.endswith("url") else []
            origins += origins_in(value) if field.endswith("hosts") else ()
            found = (origin_problem(variable.upper(), origin, _RISK, _FIX) for origin in origins)
            yield from (problem for problem in found if problem is not None)

    @classmethod
    def variables(cls) -> dict[str, str]:
        """Return the name of each field by that of its environment variable in lower case."""
        prefix = cls.model_config["env_prefix"].lower()
        return {f"{prefix}{field}": field for field in cls.model_fields}


class JobProviderSettings(ProviderSettings):
    """The settings of one provider with jobs.

    result_hosts: Where its results may be downloaded from: host patterns, or whole origins.
    """

    result_hosts: HostList

    @property
    def reads_webhooks(self) -> bool:
        """Whether webhooks are requested and can be verified; without them, jobs are polled only."""
        return False
