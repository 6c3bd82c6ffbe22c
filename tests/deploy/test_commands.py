"""Every command, environment name, port and health address in docker-compose.yml is one that the code has."""

import importlib.util
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

import composition
from adapters.health import health_server
from adapters.storage.guard import is_allowed
from admin.__main__ import _parser as admin_parser
from api.app import build_app
from settings import Settings
from simulator.__main__ import _parser as simulator_parser
from simulator.app import create_app
from simulator.options import Options
from tests.deploy.compose_file import ROOT, Service, raw_services, services
from tests.simulator.process import free_port

APP_SERVICES = ("bootstrap", "api", "worker")

# What each foreign image documents.
FOREIGN_NAMES = {
    "postgresql": {"POSTGRES_PASSWORD", "DARKROOM_DB_PASSWORD", "TEMPORAL_DB_PASSWORD"},
    "temporal-schema": {"SQL_PLUGIN", "SQL_HOST", "SQL_PORT", "SQL_USER", "SQL_PASSWORD"},
    "temporal": {"DB", "DB_PORT", "POSTGRES_SEEDS", "POSTGRES_USER", "POSTGRES_PWD", "DBNAME"}
    | {"VISIBILITY_DBNAME", "SQL_MAX_CONNS", "SQL_MAX_IDLE_CONNS", "SQL_VIS_MAX_CONNS"}
    | {"SQL_VIS_MAX_IDLE_CONNS", "NUM_HISTORY_SHARDS", "BIND_ON_IP", "TEMPORAL_BROADCAST_ADDRESS"}
    | {"DYNAMIC_CONFIG_FILE_PATH", "LOG_LEVEL"},
    "temporal-init": {"TEMPORAL_ADDRESS", "TEMPORAL_NAMESPACE", "RETENTION"},
    "temporal-ui": {"TEMPORAL_ADDRESS", "TEMPORAL_DEFAULT_NAMESPACE", "TEMPORAL_CORS_ORIGINS"}
    | {"TEMPORAL_CSRF_COOKIE_INSECURE"},
    "minio": {"MINIO_ROOT_USER", "MINIO_ROOT_PASSWORD", "MINIO_BROWSER", "MINIO_UPDATE"},
    "simulator": set(),
}


def read_settings(service: Service, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """What a service of ours reads from the environment that it is given."""
    with monkeypatch.context() as patched:
        for field in Settings.model_fields:
            patched.delenv(field.upper(), raising=False)
        for variable, value in service["environment"].items():
            patched.setenv(variable, value)
        return Settings()


@pytest.fixture
def settings(compose: dict[str, Service], monkeypatch: pytest.MonkeyPatch) -> dict[str, Settings]:
    return {name: read_settings(compose[name], monkeypatch) for name in APP_SERVICES}


def health_url(service: Service) -> httpx.URL:
    return httpx.URL(service["healthcheck"]["test"][-1])


@pytest.mark.parametrize("name", APP_SERVICES)
def test_every_name_that_our_services_are_given_is_a_setting(name: str) -> None:
    known = {field.upper() for field in Settings.model_fields}

    assert raw_services()[name]["environment"].keys() <= known


@pytest.mark.parametrize("name", FOREIGN_NAMES)
def test_every_name_that_another_image_is_given_is_one_it_documents(name: str) -> None:
    assert raw_services()[name].get("environment", {}).keys() == FOREIGN_NAMES[name]


def test_the_services_of_ours_agree_with_each_other(settings: dict[str, Settings]) -> None:
    differ = {"api_host", "worker_host"}
    api, worker, bootstrap = (
        {name: value for name, value in settings[service].model_dump().items() if name not in differ}
        for service in ("api", "worker", "bootstrap")
    )

    assert api == worker == bootstrap


def test_our_addresses_are_those_of_the_other_services(
    compose: dict[str, Service], settings: dict[str, Settings]
) -> None:
    api = settings["api"]
    database = httpx.URL(api.database_url.get_secret_value())
    postgres = compose["postgresql"]["environment"]

    assert (database.host, database.port, database.path) == ("postgresql", 5432, "/darkroom")
    assert database.userinfo.decode() == f"darkroom:{postgres['DARKROOM_DB_PASSWORD']}"
    assert api.temporal_address == compose["temporal-ui"]["environment"]["TEMPORAL_ADDRESS"]
    assert api.temporal_address == compose["temporal-init"]["environment"]["TEMPORAL_ADDRESS"]
    assert api.temporal_address == "temporal:7233"
    assert api.s3_endpoint == "http://minio:9000"
    assert api.callback_base_url == f"http://api:{api.api_port}"


def test_all_speak_of_one_namespace(compose: dict[str, Service], settings: dict[str, Settings]) -> None:
    made = compose["temporal-init"]["environment"]["TEMPORAL_NAMESPACE"]

    assert compose["temporal-ui"]["environment"]["TEMPORAL_DEFAULT_NAMESPACE"] == made
    assert {found.temporal_namespace for found in settings.values()} == {made}


def test_the_object_store_has_the_account_that_we_use(
    compose: dict[str, Service], settings: dict[str, Settings]
) -> None:
    minio, api = compose["minio"]["environment"], settings["api"]

    assert minio["MINIO_ROOT_USER"] == api.s3_access_key.get_secret_value()
    assert minio["MINIO_ROOT_PASSWORD"] == api.s3_secret_key.get_secret_value()


def test_temporals_three_steps_use_one_account(compose: dict[str, Service]) -> None:
    server, schema = compose["temporal"]["environment"], compose["temporal-schema"]["environment"]

    assert server["POSTGRES_PWD"] == schema["SQL_PASSWORD"]
    assert server["POSTGRES_PWD"] == compose["postgresql"]["environment"]["TEMPORAL_DB_PASSWORD"]
    assert (server["POSTGRES_USER"], server["DB"]) == (schema["SQL_USER"], schema["SQL_PLUGIN"])
    assert (server["POSTGRES_SEEDS"], server["DB_PORT"]) == (schema["SQL_HOST"], schema["SQL_PORT"])


def test_what_browsers_are_sent_to_is_published(
    compose: dict[str, Service], settings: dict[str, Settings]
) -> None:
    api = settings["api"]
    for url, service in ((api.public_url, "api"), (api.s3_public_endpoint, "minio")):
        [port] = compose[service]["ports"]
        assert url == f"http://{port.rsplit(':', 1)[0]}"
    [ui_port] = compose["temporal-ui"]["ports"]
    assert api.temporal_ui_url == f"http://{ui_port.rsplit(':', 1)[0]}"


def test_the_models_load_and_lead_to_the_simulator(settings: dict[str, Settings]) -> None:
    worker = settings["worker"]

    assert composition.enabled_providers(worker) == ("fal",)
    assert "flux-schnell" in composition.catalogue(worker).models
    assert is_allowed(httpx.URL("http://simulator:8090/files/job/0.jpeg"), worker.fal_result_hosts)


def test_without_the_simulators_lines_the_addresses_are_fals_own(
    dot_env: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    names = ("fal_queue_url", "fal_jwks_url", "fal_result_hosts")
    shorter = {name: value for name, value in dot_env.items() if name.lower() not in names}

    worker = read_settings(services(shorter)["worker"], monkeypatch)

    for name in names:
        assert getattr(worker, name) == Settings.model_fields[name].default


def test_the_worker_is_given_longer_than_its_grace(
    compose: dict[str, Service], settings: dict[str, Settings]
) -> None:
    assert settings["worker"].worker_grace_seconds < int(compose["worker"]["stop_grace_period"].rstrip("s"))


def test_the_api_is_a_module_and_its_health_address_a_route_of_it(
    compose: dict[str, Service], settings: dict[str, Settings]
) -> None:
    assert compose["api"]["command"] == ["python", "-m", "api"]
    assert importlib.util.find_spec("api.__main__") is not None

    api, url = settings["api"], health_url(compose["api"])
    assert url.path == build_app(api).url_path_for("readyz")
    assert url.port == api.api_port
    assert api.api_host == "0.0.0.0"  # noqa: S104 - inside its container, of which only one port is published


async def test_the_worker_starts_so_and_its_health_address_answers(
    compose: dict[str, Service], settings: dict[str, Settings]
) -> None:
    python, *arguments = compose["worker"]["command"]
    assert python == "python"
    helped = subprocess.run(  # noqa: S603, ASYNC221 - it ends at once, and nothing else runs on this loop
        [sys.executable, *arguments, "--help"], cwd=ROOT, capture_output=True, text=True, timeout=30
    )
    assert helped.returncode == 0, helped.stderr

    worker, url = settings["worker"], health_url(compose["worker"])
    assert url.port == worker.worker_health_port
    port = free_port()
    async with health_server("127.0.0.1", port, lambda: True), httpx.AsyncClient(trust_env=False) as http:
        assert (await http.get(f"http://127.0.0.1:{port}{url.path}")).status_code == 200


def test_the_bootstrap_command_is_one_of_admins(compose: dict[str, Service]) -> None:
    assert compose["bootstrap"]["command"][:3] == ["python", "-m", "admin"]

    wanted = admin_parser().parse_args(compose["bootstrap"]["command"][3:])

    assert wanted.do.__name__ == "_bootstrap"


async def test_the_simulator_takes_its_arguments_and_its_addresses_answer(
    compose: dict[str, Service], settings: dict[str, Settings], tmp_path: Path
) -> None:
    service, worker = compose["simulator"], settings["worker"]
    assert service["command"][:3] == ["python", "-m", "simulator"]

    given = simulator_parser().parse_args(service["command"][3:])

    assert worker.fal_key is not None
    assert (given.key, given.user_id) == (worker.fal_key.get_secret_value(), worker.fal_user_id)
    assert worker.fal_queue_url == f"http://simulator:{given.port}"
    assert service["volumes"] == [f"simulator:{given.state}"]
    assert health_url(service).port == given.port
    app = create_app(Options(given.provider, given.host, given.port, tmp_path), [])
    transport = httpx.ASGITransport(app)
    async with app.router.lifespan_context(app), httpx.AsyncClient(transport=transport) as http:
        for url in (health_url(service), httpx.URL(worker.fal_jwks_url)):
            assert (await http.get(url)).status_code == 200


def test_the_other_health_checks_ask_the_port_that_is_served(compose: dict[str, Service]) -> None:
    checks = {
        name: " ".join(compose[name]["healthcheck"]["test"][1:])
        for name in ("postgresql", "temporal", "temporal-ui", "minio")
    }

    assert checks == {
        "postgresql": "pg_isready -h 127.0.0.1 -U darkroom -d darkroom",
        "temporal": "nc -z 127.0.0.1 7233",
        "temporal-ui": "nc -z 127.0.0.1 8080",
        "minio": "wget -q -O /dev/null http://127.0.0.1:9000/minio/health/ready",
    }
