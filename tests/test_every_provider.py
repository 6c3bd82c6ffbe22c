"""A provider is known in every part or in none: each list of them is compared with that of models.toml."""

import tomllib
from pathlib import Path
from typing import Any

import pytest

from adapters.providers.http.client import provider_client
from adapters.providers.settings import ProviderSettings
from adapters.providers.spec import provider_specs
from composition import ServiceSettings
from composition.providers import (
    enabled_providers,
    providers,
    result_hosts,
    submits_per_second,
    webhook_readers,
    webhook_url,
)
from composition.storage import result_decoders
from devstack.servers import simulators
from domain.provider import AttemptRef
from simulator.registry import PROVIDERS as SIMULATED
from tests.contracts.providers.all_cases import CASES, JOB_CASES, SYNCHRONOUS_CASES
from tests.contracts.providers.simulated import SimulatedProvider

ROOT = Path(__file__).parents[1]
CATALOG = set(tomllib.loads((ROOT / "models.toml").read_text())["providers"])


def settings_of_cases() -> list[ProviderSettings]:
    """Return the settings of every contract case, as if its simulator ran."""
    simulator = SimulatedProvider(ROOT)
    with_jobs = [case.settings(simulator, "a-key") for case in JOB_CASES]
    return [*with_jobs, *(case.settings("http://127.0.0.1:1", "a-key") for case in SYNCHRONOUS_CASES)]


def given_values(settings: ProviderSettings) -> dict[str, Any]:
    """Return the values of the fields that a contract case sets, by variable."""
    variables = settings.variables().items()
    return {name: getattr(settings, field) for name, field in variables if field in settings.model_fields_set}


def without_default(settings: ProviderSettings) -> dict[str, Any]:
    """Return the values that a provider needs to be enabled."""
    fields, variables = type(settings).model_fields, settings.variables()
    given = given_values(settings)
    return {name: value for name, value in given.items() if fields[variables[name]].default is None}


KEYS = {name: value for own in settings_of_cases() for name, value in without_default(own).items()}
EVERYTHING = {name: value for own in settings_of_cases() for name, value in given_values(own).items()}


def settings_with(**given: Any) -> ServiceSettings:
    """Return settings with every provider's key, except for the given values."""
    return ServiceSettings(
        master_key="a master key that only these tests use",
        database_url="postgresql://nobody@127.0.0.1/nothing",
        s3_access_key="nobody",
        s3_secret_key="a secret",  # noqa: S106 - of nobody
        public_url="https://darkroom.test",
        **KEYS | given,
    )


def test_each_has_a_folder() -> None:
    assert {spec.name for spec in provider_specs()} == CATALOG


def test_each_has_a_simulator_in_the_order_of_its_ports() -> None:
    assert set(SIMULATED) == CATALOG
    assert tuple(SIMULATED) == simulators.PROVIDERS


def test_each_has_one_contract_case() -> None:
    assert sorted(case.name for case in CASES) == sorted(CATALOG)


async def test_each_that_has_a_key_has_one_adapter_of_its_name() -> None:
    settings = settings_with()
    async with providers(settings, result_decoders(settings)) as found:
        names = [*found.with_jobs, *found.synchronous]

    assert set(enabled_providers(settings)) == CATALOG
    assert sorted(names) == sorted(CATALOG)


async def test_results_of_each_may_be_downloaded_from_where_it_puts_them() -> None:
    settings = settings_with()
    async with providers(settings, result_decoders(settings)) as found:
        hosts = {host for provider in found.with_jobs.values() for host in provider.result_hosts}

    assert hosts
    assert hosts <= set(result_hosts(settings))


@pytest.mark.parametrize("nothing", [None, ""])
async def test_without_a_key_there_is_none(nothing: str | None) -> None:
    settings = settings_with(**dict.fromkeys(KEYS, nothing))
    async with providers(settings, result_decoders(settings)) as found:
        assert (found.with_jobs, found.synchronous) == ({}, {})

    assert enabled_providers(settings) == ()


@pytest.mark.parametrize(
    "given", [{}, EVERYTHING, dict.fromkeys(KEYS)], ids=["keys", "everything", "nothing"]
)
async def test_only_a_provider_whose_webhooks_are_verified_gets_an_address(given: dict[str, Any]) -> None:
    settings = settings_with(**given)
    expected = {
        spec.name for spec in provider_specs() if spec.reads_webhooks(settings.providers.by_name[spec.name])
    }
    url_of = webhook_url(settings)
    async with provider_client() as http:
        readers = webhook_readers(settings, http)

    assert readers.keys() == expected
    assert {name for name in CATALOG if url_of(name, AttemptRef("gen_1"))} == expected


def test_each_may_have_a_submit_rate_of_its_own() -> None:
    rates = dict.fromkeys(CATALOG, 2.5)
    settings = settings_with(**{f"{name}_submits_per_second": rate for name, rate in rates.items()})

    assert submits_per_second(settings) == rates
    assert submits_per_second(settings_with()) == {}


def test_the_address_names_the_provider_and_the_attempt() -> None:
    url_of = webhook_url(settings_with())
    first, second = (url_of("fal", AttemptRef("gen_1", ordinal)) for ordinal in (1, 2))

    assert first.startswith("https://darkroom.test/v1/webhooks/fal/gen_1/")
    assert first != second
