"""Each container of docker-compose.yml: what it may write, be, use, reach and know."""

import re
from typing import Any

import pytest
import yaml

from tests.deploy.app_settings import read_settings
from tests.deploy.compose_file import COMPOSE_FILE, Service, raw_services, services, strings

NAMES = sorted(raw_services())
# `app` and `minio` name their user in the Dockerfile, which tests/deploy/test_image.py reads.
BUILT_HERE = {"bootstrap", "api", "worker", "simulator", "minio"}
PUBLISHED = {"proxy", "temporal-ui", "simulator"}
# Who may reach whom: services that share a network.
NETWORKS = {
    "data": {"postgresql", "temporal-schema", "temporal", "bootstrap", "api", "worker"},
    "temporal": {"temporal", "temporal-init", "temporal-ui", "bootstrap", "api", "worker"},
    "storage": {"minio", "bootstrap", "api", "worker", "proxy"},
    "edge": {"api", "proxy"},
    "metrics": {"api", "worker"},
    "outside": {"api", "worker", "simulator"},
    "published": {"proxy"},
    "operators": {"temporal-ui"},
}
INTERNAL = {"data", "temporal", "storage", "edge", "metrics"}
# By variable of .env, the services that know it.
SECRETS = {
    "POSTGRES_PASSWORD": {"postgresql"},
    "DARKROOM_DB_PASSWORD": {"postgresql", "bootstrap"},
    "DARKROOM_SERVING_DB_PASSWORD": {"postgresql", "bootstrap", "api", "worker"},
    "DARKROOM_AUDITING_DB_PASSWORD": {"postgresql"},
    "TEMPORAL_DB_PASSWORD": {"postgresql", "temporal-schema", "temporal"},
    "S3_ROOT_SECRET_KEY": {"minio", "bootstrap"},
    "S3_SECRET_KEY": {"bootstrap", "api", "worker"},
    "MASTER_KEY": {"bootstrap", "api", "worker"},
}


@pytest.mark.parametrize("name", NAMES)
def test_it_cannot_write_its_root_nor_gain_a_power(name: str, compose: dict[str, Service]) -> None:
    service = compose[name]

    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert not service.keys() & {
        "cap_add",
        "privileged",
        "devices",
        "pid",
        "ipc",
        "network_mode",
        "volumes_from",
    }


@pytest.mark.parametrize("name", NAMES)
def test_it_does_not_run_as_root(name: str, compose: dict[str, Service]) -> None:
    if name in BUILT_HERE:
        assert "user" not in compose[name]
    else:
        user, group = compose[name]["user"].split(":")
        assert int(user) > 0
        assert int(group) > 0


@pytest.mark.parametrize("name", NAMES)
def test_it_has_limits(name: str, compose: dict[str, Service]) -> None:
    service = compose[name]

    assert 0 < _bytes(service["mem_limit"]) <= 4 * 1024**3
    assert 0 < float(service["cpus"]) <= 1
    assert 0 < service["pids_limit"] <= 400


@pytest.mark.parametrize("name", NAMES)
def test_what_it_writes_in_memory_is_bounded_and_fits_its_limit(
    name: str, compose: dict[str, Service]
) -> None:
    sizes = {}
    for mount in compose[name]["tmpfs"]:
        read = re.fullmatch(r"([^:]+):size=(\w+)(?:,mode=1777)?", mount)
        assert read, mount
        sizes[read[1]] = _bytes(read[2])

    assert "/tmp" in sizes  # noqa: S108 - inside a container
    assert sum(sizes.values()) <= _bytes(compose[name]["mem_limit"]) / 2


@pytest.mark.parametrize("name", ["api", "worker"])
def test_the_dearest_images_and_a_full_disk_fit_in_together(
    name: str, compose: dict[str, Service], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The numbers are those of *Memory* in docs/operations.md."""
    settings = read_settings(compose[name], monkeypatch)
    [mount] = compose[name]["tmpfs"]
    child_bytes = 23_000_000 + settings.image_memory_bytes + 128 * 1024**2
    needed_bytes = 150_000_000 + settings.image_decoders * child_bytes + _bytes(mount.partition("size=")[2])

    assert needed_bytes <= _bytes(compose[name]["mem_limit"])


def test_the_processors_of_a_bigger_machine_may_be_used(dot_env: dict[str, str]) -> None:
    bigger = services(dot_env | {"MAX_CPUS": "4"})

    assert {name for name in NAMES if float(bigger[name]["cpus"]) == 4} == {
        "postgresql", "temporal", "minio", "api", "worker", "proxy",
    }  # fmt: skip


def test_each_network_has_these_services_and_no_others() -> None:
    found = {name: set(service["networks"]) for name, service in raw_services().items()}

    assert {
        network: {name for name, networks in found.items() if network in networks} for network in NETWORKS
    } == NETWORKS
    assert set().union(*found.values()) == NETWORKS.keys()


def test_only_what_asks_providers_or_is_published_leads_outside() -> None:
    declared: dict[str, Any] = yaml.safe_load(COMPOSE_FILE.read_text())["networks"]

    assert declared.keys() == NETWORKS.keys()
    assert {name for name, options in declared.items() if (options or {}).get("internal")} == INTERNAL


def test_nothing_is_published_but_by_these() -> None:
    assert {name for name, service in raw_services().items() if "ports" in service} == PUBLISHED


@pytest.mark.parametrize("variable", SECRETS)
def test_a_secret_is_known_to_these_and_no_others(
    variable: str, compose: dict[str, Service], dot_env: dict[str, str]
) -> None:
    secret = dot_env[variable]

    knowing = {name for name, service in compose.items() if any(secret in text for text in strings(service))}

    assert knowing == SECRETS[variable]


def test_every_secret_of_the_example_is_among_them(dot_env: dict[str, str]) -> None:
    made = {name for name, value in dot_env.items() if re.fullmatch(r"[0-9a-f]{64}", value)}

    assert made == SECRETS.keys()


def test_the_root_account_of_the_store_is_in_no_service_but_bootstrap(
    compose: dict[str, Service], dot_env: dict[str, str]
) -> None:
    name = dot_env["S3_ROOT_ACCESS_KEY"]

    assert name != dot_env["S3_ACCESS_KEY"]
    assert {service for service, given in compose.items() if name in strings(given)} == {"minio", "bootstrap"}


def _bytes(size: str) -> int:
    read = re.fullmatch(r"(\d+)([mg])", size)
    assert read, size
    return int(read[1]) * 1024 ** (2 if read[2] == "m" else 3)
