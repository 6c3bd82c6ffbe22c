"""Every command, variable, port and health address in docker-compose.yml exists in the code."""

import importlib.util
import subprocess
import sys

import httpx
import pytest

from adapters.database.roles import SERVING_ROLE
from admin.__main__ import _parser as admin_parser
from api.app import build_app
from composition import ServiceSettings
from composition.api import body_limits
from composition.settings import setting_fields
from devstack.process.ports import pick_free
from runtime.health import health_server
from tests.deploy.app_settings import APP_SERVICES, health_url
from tests.deploy.compose_file import ROOT, Service, raw_services, temporal_config
from tests.support.time_limits import scaled

ONLY_BOOTSTRAP = {"migration_database_url", "s3_root_access_key", "s3_root_secret_key"}
_OWN_TEMPORAL = "the set's own Temporal has neither TLS nor keys"
_NEEDS_A_FILE = "names a file, which has to be mounted as well: docs/operations.md"
NOT_PASSED_ON = {
    "DATABASE_POOLER": "DATABASE_URL leads to the set's own PostgreSQL",
    "TEMPORAL_API_KEY": _OWN_TEMPORAL,
    "TEMPORAL_TLS": _OWN_TEMPORAL,
    "TEMPORAL_TLS_CA_FILE": _OWN_TEMPORAL,
    "TEMPORAL_TLS_CERT_FILE": _OWN_TEMPORAL,
    "TEMPORAL_TLS_KEY_FILE": _OWN_TEMPORAL,
    "TEMPORAL_TLS_SERVER_NAME": _OWN_TEMPORAL,
    "MODELS_FILE": _NEEDS_A_FILE,
    "MODERATION_WORDS_FILE": _NEEDS_A_FILE,
}
# What each foreign image documents.
FOREIGN_NAMES = {
    "postgresql": {"POSTGRES_PASSWORD", "DARKROOM_DB_PASSWORD", "TEMPORAL_DB_PASSWORD"}
    | {"DARKROOM_SERVING_DB_PASSWORD", "DARKROOM_AUDITING_DB_PASSWORD"},
    "temporal-schema": {"SQL_PLUGIN", "SQL_HOST", "SQL_PORT", "SQL_USER", "SQL_PASSWORD"},
    # What deploy/temporal/server.yaml reads, and what answers who its user is.
    "temporal": {"POSTGRES_ADDRESS", "POSTGRES_PASSWORD", "LOG_LEVEL", "USER", "HOME"},
    "temporal-init": {"TEMPORAL_ADDRESS", "TEMPORAL_NAMESPACE", "RETENTION", "HOME"},
    "temporal-ui": {"TEMPORAL_ADDRESS", "TEMPORAL_DEFAULT_NAMESPACE", "TEMPORAL_CORS_ORIGINS"}
    | {"TEMPORAL_CSRF_COOKIE_INSECURE"},
    # What deploy/proxy/start.sh reads.
    "proxy": {"TLS_PROXIES"},
    "minio": {"MINIO_ROOT_USER", "MINIO_ROOT_PASSWORD", "MINIO_BROWSER", "MINIO_UPDATE"},
    "simulator": set(),
}


@pytest.mark.parametrize("name", APP_SERVICES)
def test_every_name_that_our_services_are_given_is_a_setting(name: str) -> None:
    known = {name.upper() for name in setting_fields()}

    assert raw_services()[name]["environment"].keys() <= known


def test_every_setting_reaches_our_services_except_these() -> None:
    given = set().union(*(raw_services()[name]["environment"] for name in APP_SERVICES))

    assert {name.upper() for name in setting_fields()} - given == NOT_PASSED_ON.keys()


@pytest.mark.parametrize("name", FOREIGN_NAMES)
def test_every_name_that_another_image_is_given_is_one_it_documents(name: str) -> None:
    assert raw_services()[name].get("environment", {}).keys() == FOREIGN_NAMES[name]


def test_our_services_have_the_same_settings(settings: dict[str, ServiceSettings]) -> None:
    differ = {"api_host", "api_internal_host", "trusted_proxies", "worker_host", "worker_grace_seconds"}
    differ |= ONLY_BOOTSTRAP
    api, worker, bootstrap = (
        {name: value for name, value in settings[service].model_dump().items() if name not in differ}
        for service in ("api", "worker", "bootstrap")
    )

    assert api == worker == bootstrap


def test_only_bootstrap_has_what_owns_tables_and_buckets(settings: dict[str, ServiceSettings]) -> None:
    for name in ONLY_BOOTSTRAP:
        given = {service: getattr(settings[service], name) is not None for service in APP_SERVICES}
        assert given == {"bootstrap": True, "api": False, "worker": False}, name


def test_our_addresses_are_those_of_the_other_services(
    compose: dict[str, Service], settings: dict[str, ServiceSettings]
) -> None:
    api = settings["api"]
    owner = settings["bootstrap"].migration_database_url
    assert owner is not None
    postgres = compose["postgresql"]["environment"]

    for database, user, password in (
        (api.database_url, SERVING_ROLE, postgres["DARKROOM_SERVING_DB_PASSWORD"]),
        (owner, "darkroom", postgres["DARKROOM_DB_PASSWORD"]),
    ):
        url = httpx.URL(database.get_secret_value())
        assert (url.host, url.port, url.path) == ("postgresql", 5432, "/darkroom")
        assert url.userinfo.decode() == f"{user}:{password}"
    assert api.temporal_address == compose["temporal-ui"]["environment"]["TEMPORAL_ADDRESS"]
    assert api.temporal_address == compose["temporal-init"]["environment"]["TEMPORAL_ADDRESS"]
    assert api.temporal_address == "temporal:7233"
    assert api.s3_endpoint == "http://minio:9000"
    assert api.callback_base_url == f"http://api:{api.api_port}"


def test_all_speak_of_one_namespace(
    compose: dict[str, Service], settings: dict[str, ServiceSettings]
) -> None:
    made = compose["temporal-init"]["environment"]["TEMPORAL_NAMESPACE"]

    assert compose["temporal-ui"]["environment"]["TEMPORAL_DEFAULT_NAMESPACE"] == made
    assert {found.temporal_namespace for found in settings.values()} == {made}


def test_bootstrap_has_the_object_stores_root_account_and_the_service_another(
    compose: dict[str, Service], settings: dict[str, ServiceSettings]
) -> None:
    minio, bootstrap = compose["minio"]["environment"], settings["bootstrap"]
    assert bootstrap.s3_root_access_key is not None
    assert bootstrap.s3_root_secret_key is not None

    assert minio["MINIO_ROOT_USER"] == bootstrap.s3_root_access_key.get_secret_value()
    assert minio["MINIO_ROOT_PASSWORD"] == bootstrap.s3_root_secret_key.get_secret_value()
    assert minio["MINIO_ROOT_USER"] != settings["api"].s3_access_key.get_secret_value()
    assert minio["MINIO_ROOT_PASSWORD"] not in compose["api"]["environment"].values()


def test_temporals_three_steps_use_one_account(compose: dict[str, Service]) -> None:
    server, schema = compose["temporal"]["environment"], compose["temporal-schema"]["environment"]

    assert server["POSTGRES_PASSWORD"] == schema["SQL_PASSWORD"]
    assert server["POSTGRES_PASSWORD"] == compose["postgresql"]["environment"]["TEMPORAL_DB_PASSWORD"]
    assert server["POSTGRES_ADDRESS"] == f"{schema['SQL_HOST']}:{schema['SQL_PORT']}"
    stores = temporal_config(server)["persistence"]["datastores"]
    for store, database in (("default", "temporal"), ("visibility", "temporal_visibility")):
        assert stores[store]["sql"]["connectAddr"] == server["POSTGRES_ADDRESS"]
        assert stores[store]["sql"]["password"] == server["POSTGRES_PASSWORD"]
        assert stores[store]["sql"]["databaseName"] == database
        assert stores[store]["sql"]["user"] == schema["SQL_USER"]
        assert stores[store]["sql"]["pluginName"] == schema["SQL_PLUGIN"]


def test_temporals_command_names_the_files_that_are_mounted(compose: dict[str, Service]) -> None:
    program, *arguments = compose["temporal"]["entrypoint"]
    options = dict(zip(arguments[:-1:2], arguments[1:-1:2], strict=True))
    mounted = {volume.split(":")[1] for volume in compose["temporal"]["volumes"]}
    config = f"{options['--root']}/{options['--config']}/{options['--env']}.yaml"

    assert (program, arguments[-1]) == ("temporal-server", "start")
    dynamic = temporal_config(compose["temporal"]["environment"])["dynamicConfigClient"]["filepath"]
    assert mounted == {config, dynamic}


def test_what_browsers_are_sent_to_is_published(
    compose: dict[str, Service], settings: dict[str, ServiceSettings]
) -> None:
    api = settings["api"]
    for url, port in zip((api.public_url, api.s3_public_endpoint), compose["proxy"]["ports"], strict=True):
        assert url == f"http://{port.rsplit(':', 1)[0]}"
    [ui_port] = compose["temporal-ui"]["ports"]
    assert api.temporal_ui_url == f"http://{ui_port.rsplit(':', 1)[0]}"


def test_the_worker_is_given_longer_than_its_grace(
    compose: dict[str, Service], settings: dict[str, ServiceSettings]
) -> None:
    assert settings["worker"].worker_grace_seconds < int(compose["worker"]["stop_grace_period"].rstrip("s"))


def test_the_api_is_a_module_and_its_health_address_a_route_of_it(
    compose: dict[str, Service], settings: dict[str, ServiceSettings]
) -> None:
    assert compose["api"]["command"] == ["python", "-m", "api"]
    assert importlib.util.find_spec("api.__main__") is not None

    api, url = settings["api"], health_url(compose["api"])
    assert url.path == build_app(body_limits(api)).url_path_for("readyz")
    assert url.port == api.api_port
    assert api.api_host == "0.0.0.0"  # noqa: S104 - inside its container, of which only one port is published


async def test_the_workers_command_starts_and_its_health_address_responds(
    compose: dict[str, Service], settings: dict[str, ServiceSettings]
) -> None:
    python, *arguments = compose["worker"]["command"]
    assert python == "python"
    helped = subprocess.run(  # noqa: S603, ASYNC221 - it ends at once, and nothing else runs on this loop
        [sys.executable, *arguments, "--help"], cwd=ROOT, capture_output=True, text=True, timeout=scaled(30)
    )
    assert helped.returncode == 0, helped.stderr

    worker, url = settings["worker"], health_url(compose["worker"])
    assert url.port == worker.worker_health_port
    port = pick_free()
    async with health_server("127.0.0.1", port, lambda: True), httpx.AsyncClient(trust_env=False) as http:
        assert (await http.get(f"http://127.0.0.1:{port}{url.path}")).status_code == 200


def test_the_bootstrap_command_is_one_of_admins(compose: dict[str, Service]) -> None:
    assert compose["bootstrap"]["command"][:3] == ["python", "-m", "admin"]

    wanted = admin_parser().parse_args(compose["bootstrap"]["command"][3:])

    assert wanted.do.__name__ == "_bootstrap"


def test_the_other_health_checks_ask_the_port_that_is_served(compose: dict[str, Service]) -> None:
    checks = {
        name: " ".join(compose[name]["healthcheck"]["test"][1:])
        for name in ("postgresql", "temporal", "temporal-ui", "minio", "proxy")
    }

    assert checks == {
        "postgresql": "pg_isready -h 127.0.0.1 -U darkroom -d darkroom",
        "temporal": "nc -z 127.0.0.1 7233",
        "temporal-ui": "nc -z 127.0.0.1 8080",
        "minio": "wget -q -O /dev/null http://127.0.0.1:9000/minio/health/ready",
        "proxy": "wget -q -O /dev/null http://127.0.0.1:8080/",
    }
