"""Images, ports, secrets, order and restarts in docker-compose.yml."""

import itertools
import re
import tomllib
from pathlib import Path

import pytest
import yaml

from devstack.install.programs import MINIO
from devstack.servers.temporal import DYNAMIC_CONFIG
from tests.deploy.compose_file import (
    COMPOSE_FILE,
    ROOT,
    Service,
    VariableMissing,
    passed_on,
    raw_services,
    read_env,
    services,
    strings,
    temporal_config,
    variables,
)

ONE_SHOTS = {"temporal-schema", "temporal-init", "bootstrap"}
LONG_RUNNING = {"postgresql", "temporal", "temporal-ui", "minio", "api", "worker", "proxy", "simulator"}
DEPRECATED_IMAGES = ("temporalio/auto-setup", "temporalio/base-", "minio/minio", "bitnami/")
COMPOSE_OWN_VARIABLES = {"COMPOSE_PROFILES"}
OPTIONAL = {"PUBLISH_ADDRESS", "EDGE_SUBNET", "MAX_CPUS", "BUILD_CA_FILE"} | passed_on()
SECRET_NAME = re.compile(r"PASSWORD|SECRET|_PWD$|_KEY$|_TOKEN$|DATABASE_URL")


def test_it_has_these_services_and_no_others() -> None:
    assert raw_services().keys() == ONE_SHOTS | LONG_RUNNING


def test_every_image_is_pinned_and_none_is_deprecated(compose: dict[str, Service]) -> None:
    for name, service in compose.items():
        image = service["image"]
        assert re.search(r":v?\d[\w.-]*$", image), f"{name} has no pinned version: {image}"
        assert not image.startswith(DEPRECATED_IMAGES), name


def test_our_images_are_named_by_what_is_in_them(compose: dict[str, Service]) -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]

    for name in ("bootstrap", "api", "worker", "simulator"):
        assert compose[name]["image"] == f"darkroom-app:{version}"
    assert compose["minio"]["image"].partition(":")[2] in MINIO.version


def test_temporals_tools_have_the_servers_version(compose: dict[str, Service]) -> None:
    version = compose["temporal"]["image"].partition(":")[2]

    for name in ("temporal-schema", "temporal-init"):
        assert compose[name]["image"].startswith(f"temporalio/admin-tools:{version}-")


def test_services_come_back_and_steps_give_up(compose: dict[str, Service]) -> None:
    assert {compose[name]["restart"] for name in LONG_RUNNING} == {"unless-stopped"}
    assert {compose[name]["restart"] for name in ONE_SHOTS} == {"on-failure:5"}


def test_every_long_running_service_has_a_bounded_healthcheck(compose: dict[str, Service]) -> None:
    for name in LONG_RUNNING:
        assert compose[name]["healthcheck"].keys() == {
            "test",
            "interval",
            "timeout",
            "retries",
            "start_period",
        }
        assert compose[name]["healthcheck"]["test"][0] == "CMD"


def test_every_log_has_a_cap(compose: dict[str, Service]) -> None:
    for name, service in compose.items():
        assert service["logging"]["options"].keys() == {"max-size", "max-file"}, name


def test_each_service_waits_for_what_it_needs(compose: dict[str, Service]) -> None:
    done, healthy = "service_completed_successfully", "service_healthy"
    waits = {
        name: {needed: how["condition"] for needed, how in service["depends_on"].items()}
        for name, service in compose.items()
        if "depends_on" in service
    }

    assert waits == {
        "temporal-schema": {"postgresql": healthy},
        "temporal": {"postgresql": healthy, "temporal-schema": done},
        "temporal-init": {"temporal": healthy},
        "temporal-ui": {"temporal": healthy},
        "bootstrap": {"postgresql": healthy, "minio": healthy, "temporal-init": done},
        "api": {"bootstrap": done},
        "worker": {"bootstrap": done},
        "proxy": {"api": healthy},
    }


def test_only_the_simulator_is_under_a_profile(compose: dict[str, Service], dot_env: dict[str, str]) -> None:
    profiles = {name: service["profiles"] for name, service in compose.items() if "profiles" in service}

    assert profiles == {"simulator": ["simulator"]}
    assert dot_env["COMPOSE_PROFILES"] == "simulator"


def test_nothing_is_published_beyond_this_machine_by_default(compose: dict[str, Service]) -> None:
    published = {name: service["ports"] for name, service in compose.items() if "ports" in service}
    simulated = published.pop("simulator")

    assert published == {
        "proxy": ["127.0.0.1:8000:8000", "127.0.0.1:9000:9000"],
        "temporal-ui": ["127.0.0.1:8233:8080"],
    }
    assert all(port.startswith("127.0.0.1:") for port in simulated)


def test_publishing_exposes_neither_the_temporal_ui_nor_the_simulator(dot_env: dict[str, str]) -> None:
    opened = services(dot_env | {"PUBLISH_ADDRESS": "0.0.0.0"})  # noqa: S104 - nothing listens here

    assert opened["proxy"]["ports"] == ["0.0.0.0:8000:8000", "0.0.0.0:9000:9000"]
    for name in ("temporal-ui", "simulator"):
        assert all(port.startswith("127.0.0.1:") for port in opened[name]["ports"])


def test_data_is_on_named_volumes(compose: dict[str, Service]) -> None:
    named = yaml.safe_load(COMPOSE_FILE.read_text())["volumes"].keys()
    mounted = {
        name: source
        for name, service in compose.items()
        for source in (volume.partition(":")[0] for volume in service.get("volumes", []))
        if not source.startswith("./")
    }

    assert mounted == {"postgresql": "postgresql", "minio": "minio", "simulator": "simulator"}
    assert set(mounted.values()) == named


def test_every_file_that_is_mounted_exists_and_cannot_be_written(compose: dict[str, Service]) -> None:
    bound = [
        volume
        for service in compose.values()
        for volume in service.get("volumes", [])
        if volume.startswith("./")
    ]

    assert len(bound) == 7
    for volume in bound:
        source, _, mode = volume.split(":")
        assert (ROOT / source).exists()
        assert mode == "ro"


def test_no_secret_is_written_in_it() -> None:
    for name, service in raw_services().items():
        for variable, value in service.get("environment", {}).items():
            if value is not None and SECRET_NAME.search(variable):
                assert re.search(r"\$\{\w+:\?[^}]+\}", value), f"{name}: {variable}"
        assert not any(re.search(r"[0-9a-f]{32}", text) for text in strings(service)), name


@pytest.mark.parametrize("name", sorted(variables() - OPTIONAL))
def test_it_refuses_to_start_without(name: str, dot_env: dict[str, str]) -> None:
    with pytest.raises(VariableMissing, match=name):
        services(dot_env | {name: ""})


@pytest.mark.parametrize("name", sorted(OPTIONAL))
def test_it_starts_without(name: str, dot_env: dict[str, str]) -> None:
    without = services({key: value for key, value in dot_env.items() if key != name})

    assert name not in without["api"]["environment"]


def test_the_example_names_every_variable_that_is_taken_and_no_other() -> None:
    example = ROOT / ".env.example"
    left_out = set(re.findall(r"^# ([A-Z_]+)=", example.read_text(), re.MULTILINE))

    assert read_env(example).keys() | left_out == variables() | COMPOSE_OWN_VARIABLES
    assert left_out <= OPTIONAL


def test_no_two_services_are_published_on_one_port(compose: dict[str, Service]) -> None:
    ports = [port.rsplit(":", 1)[0] for service in compose.values() for port in service.get("ports", [])]

    for one, other in itertools.combinations(ports, 2):
        assert one != other


def test_temporal_is_configured_as_under_make_up() -> None:
    file = Path(ROOT / "deploy" / "temporal" / "dynamicconfig.yaml")
    shipped = {key: rules[0]["value"] for key, rules in yaml.safe_load(file.read_text()).items()}

    assert shipped == DYNAMIC_CONFIG


def test_postgresql_has_a_connection_for_everyone(compose: dict[str, Service]) -> None:
    stores = temporal_config(compose["temporal"]["environment"])["persistence"]["datastores"]
    temporal_roles, ours, spare = 4, 2 * 10, 20
    needed = temporal_roles * sum(store["sql"]["maxConns"] for store in stores.values())

    assert compose["postgresql"]["command"] == ["postgres", "-c", "max_connections=200"]
    assert needed + ours + spare <= 200
