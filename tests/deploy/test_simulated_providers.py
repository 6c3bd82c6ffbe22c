"""Every provider has its settings and its simulator's address in docker-compose.yml."""

import argparse
from contextlib import suppress
from pathlib import Path

import httpx
import pytest

from adapters.providers.bfl.settings import BflSettings
from adapters.providers.fal.settings import FalSettings
from adapters.providers.http.client import provider_client
from adapters.providers.replicate.settings import ReplicateSettings
from adapters.providers.settings import ProviderSettings
from adapters.providers.spec import provider_specs
from adapters.storage.address_guard import is_allowed
from composition import ServiceSettings, repositories
from composition.providers import enabled_providers, webhook_readers
from composition.settings import AllProviderSettings, setting_fields
from domain.errors import ServiceError
from simulator.__main__ import ALL
from simulator.__main__ import _parser as simulator_parser
from simulator.core.app import create_app
from simulator.core.options import Options
from simulator.registry import PROVIDERS
from tests.contracts.providers.all_cases import CASES
from tests.contracts.providers.job_case import TOOLS, JobCase
from tests.contracts.providers.synchronous_case import SynchronousCase
from tests.deploy.app_settings import health_url, read_settings
from tests.deploy.compose_file import Service, passed_on, services
from tests.unit.adapters.providers.inline_image_requests import asking, client_on
from tests.unit.adapters.providers.mock_http import MockHttp


@pytest.fixture
def simulator(compose: dict[str, Service]) -> argparse.Namespace:
    """Return the options in the simulator's command."""
    assert compose["simulator"]["command"][:3] == ["python", "-m", "simulator"]
    return simulator_parser().parse_args(compose["simulator"]["command"][3:])


def test_every_setting_of_a_provider_is_passed_on() -> None:
    of_providers = {name.upper() for name in AllProviderSettings.variables()}

    assert len(of_providers) > len(PROVIDERS)
    assert of_providers <= passed_on()


def test_every_provider_is_on_and_so_every_model_available(settings: dict[str, ServiceSettings]) -> None:
    worker = settings["worker"]

    catalog = repositories.catalog(worker)

    assert set(enabled_providers(worker)) == set(PROVIDERS)
    assert all(catalog.is_available(model) for model in catalog.models.values())


@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_provider_without_its_settings_is_disabled(
    provider: str, dot_env: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    left = {name: value for name, value in dot_env.items() if not name.lower().startswith(provider)}

    worker = read_settings(services(left)["worker"], monkeypatch)

    assert set(enabled_providers(worker)) == set(PROVIDERS) - {provider}


def test_without_the_simulators_settings_the_addresses_are_the_providers_own(
    dot_env: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    simulated = {name for name, value in dot_env.items() if "//simulator" in value}
    left = {name: value for name, value in dot_env.items() if name not in simulated}

    worker = read_settings(services(left)["worker"], monkeypatch)

    assert {name.partition("_")[0].lower() for name in simulated} == set(PROVIDERS)
    for name in map(str.lower, simulated):
        [(provider, field)] = [
            (spec.name, spec.settings.variables()[name])
            for spec in provider_specs()
            if name in spec.settings.variables()
        ]
        assert getattr(worker.providers.by_name[provider], field) == setting_fields()[name].default


def test_the_simulator_is_every_provider_on_a_port_of_its_own(
    compose: dict[str, Service], simulator: argparse.Namespace
) -> None:
    service = compose["simulator"]
    ports = [*simulator.ports, simulator.polling_port]

    assert simulator.provider == ALL
    assert len(simulator.ports) == len(PROVIDERS)
    assert len(ports) == len(set(ports))
    assert service["volumes"] == [f"simulator:{simulator.state}"]
    assert service["ports"] == [f"127.0.0.1:{port}:{port}" for port in simulator.ports]
    assert health_url(service).port in simulator.ports


async def submit_address(
    case: JobCase | SynchronousCase, settings: ProviderSettings, folder: Path
) -> httpx.URL:
    """Return where the provider's adapter sends a submit."""
    mock = MockHttp(httpx.Response(500))
    with suppress(ServiceError):
        if isinstance(case, JobCase):
            job_adapter = case.spec.make_adapter(settings, mock.http, TOOLS)
            await job_adapter.submit(case.submission("a fox"))
        else:
            adapter = case.spec.make_adapter(settings, client_on(mock.http))
            await adapter.generate(asking(case.name, case.endpoint), folder)
    return mock.requests[0].url


async def test_the_simulators_addresses_are_routes_of_it(
    compose: dict[str, Service],
    settings: dict[str, ServiceSettings],
    simulator: argparse.Namespace,
    tmp_path: Path,
) -> None:
    """Submit without a key: a refusal shows that the route exists."""
    own = settings["worker"].providers
    health = health_url(compose["simulator"]).path
    jwks = httpx.URL(own.of(FalSettings).jwks_url)
    asked = {case.name: await submit_address(case, own.by_name[case.name], tmp_path) for case in CASES}
    for provider, port in zip(PROVIDERS, simulator.ports, strict=True):
        app = create_app(Options(provider, simulator.host, port, tmp_path), [])
        origin = f"http://simulator:{port}"
        http = httpx.AsyncClient(transport=httpx.ASGITransport(app))
        async with app.router.lifespan_context(app), http:
            assert (await http.get(f"{origin}{health}")).status_code == 200
            assert str(asked[provider]).startswith(f"{origin}/")
            assert (await http.post(asked[provider], json={"prompt": "a fox"})).status_code in (401, 403)
            if jwks.port == port:
                assert (await http.get(jwks)).status_code == 200
    assert jwks.port in simulator.ports


def test_the_simulator_takes_any_key_and_signs_for_the_account_that_is_believed(
    settings: dict[str, ServiceSettings], simulator: argparse.Namespace
) -> None:
    assert simulator.key is None
    assert simulator.user_id == settings["api"].providers.of(FalSettings).user_id


def test_results_may_come_from_the_simulator_and_our_key_go_to_its_regional_host(
    settings: dict[str, ServiceSettings], simulator: argparse.Namespace
) -> None:
    own, ports = settings["worker"].providers, dict(zip(PROVIDERS, simulator.ports, strict=True))
    region = f"http://simulator:{simulator.polling_port}"
    allowed = (
        (f"http://simulator:{ports['fal']}", own.of(FalSettings).result_hosts),
        (f"http://simulator:{ports['replicate']}", own.of(ReplicateSettings).result_hosts),
        (f"http://simulator:{ports['bfl']}", own.of(BflSettings).result_hosts),
        (region, own.of(BflSettings).result_hosts),
        (region, own.of(BflSettings).polling_hosts),
    )

    for origin, hosts in allowed:
        assert is_allowed(httpx.URL(f"{origin}/files/job/0.jpeg"), hosts)


async def test_without_a_secret_of_its_own_replicate_is_polled(settings: dict[str, ServiceSettings]) -> None:
    async with provider_client() as http:
        readers = webhook_readers(settings["api"], http)

    assert readers.keys() == {"fal"}
