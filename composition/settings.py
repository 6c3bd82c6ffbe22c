"""All settings of a process: those of the service, and those of each provider that has a folder."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, TypeVar

from pydantic import PrivateAttr
from pydantic.fields import FieldInfo

from adapters.providers.settings import ProviderSettings
from adapters.providers.spec import provider_specs
from domain.keyring import Keyring
from domain.tenant import TenantLimits
from settings import Settings

S = TypeVar("S", bound=ProviderSettings)


@dataclass(frozen=True)
class AllProviderSettings:
    """The settings of every provider, by its name."""

    by_name: Mapping[str, ProviderSettings]

    @classmethod
    def read(cls, values: Mapping[str, Any]) -> "AllProviderSettings":
        """Read the environment. values: replace it, by the variable's name in lower case, as `fal_key`."""
        found = {}
        for spec in provider_specs():
            variables = spec.settings.variables()
            given = {field: values[name] for name, field in variables.items() if name in values}
            found[spec.name] = spec.settings(**given)
        return cls(found)

    @staticmethod
    def variables() -> frozenset[str]:
        """Return the names of all environment variables of providers, in lower case."""
        return frozenset(name for spec in provider_specs() for name in spec.settings.variables())

    def of(self, kind: type[S]) -> S:
        """Return the settings of one provider, by their class."""
        [found] = [settings for settings in self.by_name.values() if isinstance(settings, kind)]
        return found


def setting_fields() -> dict[str, FieldInfo]:
    """Return every setting by the name of its environment variable in lower case."""
    fields = dict(Settings.model_fields)
    for spec in provider_specs():
        own = spec.settings.model_fields
        fields |= {variable: own[field] for variable, field in spec.settings.variables().items()}
    return fields


class ServiceSettings(Settings):
    """The settings of the service, with those of the providers in `providers`.

    Values that are given by name replace the environment, also those of providers: `fal_key="…"`.
    """

    _providers: AllProviderSettings = PrivateAttr()

    def __init__(self, **values: Any) -> None:
        of_providers = {name: values.pop(name) for name in AllProviderSettings.variables() & values.keys()}
        super().__init__(**values)
        self._providers = AllProviderSettings.read(of_providers)

    @property
    def providers(self) -> AllProviderSettings:
        return self._providers


def keyring(settings: Settings) -> Keyring:
    """Return the master keys: the one that signs, and those that are accepted beside it."""
    others = [key.get_secret_value() for key in settings.other_master_keys]
    return Keyring.of(settings.master_key.get_secret_value(), others)


def tenant_limits(settings: Settings) -> TenantLimits:
    """Return the limits of every tenant that has none of its own."""
    return TenantLimits(
        **{each.name: getattr(settings, f"tenant_{each.name}") for each in fields(TenantLimits)}
    )
