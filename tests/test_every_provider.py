"""A provider is known everywhere or nowhere: each list of them is compared with that of models.toml."""

import tomllib
from pathlib import Path
from typing import Any

import pytest

from adapters.providers.client import provider_client
from composition.providers import (
    enabled_providers,
    providers,
    result_hosts,
    webhook_readers,
    webhook_url,
)
from devstack.servers import simulators
from domain.provider import AttemptRef
from settings import Settings
from simulator.registry import PROVIDERS as SIMULATED
from tests.contracts.providers.job_cases import JOB_CASES
from tests.contracts.providers.synchronous_cases import SYNCHRONOUS_CASES
from tests.test_provider_docs import TABLES as DOCUMENTED
from tests.unit.adapters.test_meanings import TABLES as HELD

ROOT = Path(__file__).parents[1]
CATALOG = set(tomllib.loads((ROOT / "models.toml").read_text())["providers"])
KEYS = {
    "fal_key": "a key",
    "fal_user_id": "user-1",
    "replicate_api_token": "a token",
    "bfl_api_key": "a key",
    "openai_api_key": "a key",
    "gemini_api_key": "a key",
    "together_api_key": "a key",
}
SECRETS = {"replicate_webhook_secrets": "whsec_b2xkIHNlY3JldA=="}


def settings_with(**given: Any) -> Settings:
    """With every provider's key, but for what is given otherwise."""
    return Settings(
        master_key="a master key that only these tests use",
        database_url="postgresql://nobody@127.0.0.1/nothing",
        s3_access_key="nobody",
        s3_secret_key="a secret",  # noqa: S106 - of nobody
        public_url="https://darkroom.test",
        **KEYS | given,
    )


def test_each_has_a_simulator_in_the_order_of_its_ports() -> None:
    assert set(SIMULATED) == CATALOG
    assert tuple(SIMULATED) == simulators.PROVIDERS


def test_each_is_held_to_the_contract_once() -> None:
    names = [*(case.name for case in JOB_CASES), *(case.name for case in SYNCHRONOUS_CASES)]
    assert sorted(names) == sorted(CATALOG)


def test_the_errors_of_each_are_documented_and_held() -> None:
    assert set(DOCUMENTED) == set(HELD) == CATALOG


async def test_each_that_has_a_key_has_one_adapter_of_its_name() -> None:
    settings = settings_with()
    async with providers(settings) as found:
        names = [*found.with_jobs, *found.synchronous]

    assert set(enabled_providers(settings)) == CATALOG
    assert sorted(names) == sorted(CATALOG)


async def test_results_of_each_may_be_downloaded_from_where_it_puts_them() -> None:
    settings = settings_with()
    async with providers(settings) as found:
        hosts = {host for provider in found.with_jobs.values() for host in provider.result_hosts}

    assert hosts
    assert hosts <= set(result_hosts(settings))


@pytest.mark.parametrize("nothing", [None, ""])
async def test_without_a_key_there_is_none(nothing: str | None) -> None:
    settings = settings_with(**dict.fromkeys(KEYS, nothing))
    async with providers(settings) as found:
        assert (found.with_jobs, found.synchronous) == ({}, {})

    assert enabled_providers(settings) == ()


@pytest.mark.parametrize(
    ("given", "heard"),
    [
        ({}, {"fal"}),
        (SECRETS, {"fal", "replicate"}),
        ({"bfl_webhooks": True}, {"fal", "bfl"}),
        (SECRETS | {"bfl_webhooks": True}, {"fal", "replicate", "bfl"}),
        (SECRETS | {"bfl_webhooks": True, "replicate_api_token": None, "bfl_api_key": None}, {"fal"}),
        ({"fal_key": None, "fal_user_id": None}, set()),
    ],
)
async def test_only_a_provider_whose_webhooks_are_read_gets_an_address(
    given: dict[str, Any], heard: set[str]
) -> None:
    settings = settings_with(**given)
    url_of = webhook_url(settings)
    async with provider_client() as http:
        readers = webhook_readers(settings, http)

    assert readers.keys() == heard
    assert {name for name in CATALOG if url_of(name, AttemptRef("gen_1"))} == heard


def test_the_address_names_the_provider_and_the_attempt() -> None:
    url_of = webhook_url(settings_with())
    first, second = (url_of("fal", AttemptRef("gen_1", ordinal)) for ordinal in (1, 2))

    assert first.startswith("https://darkroom.test/v1/webhooks/fal/gen_1/")
    assert first != second
