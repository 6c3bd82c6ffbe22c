"""docker-compose.yml as Compose's own library reads it, if there is Go to build that."""

import json
import os
import shutil
import subprocess
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.deploy.compose_file import Service, passed_on, strings
from tests.support.time_limits import scaled

SOURCE = Path(__file__).parent / "composecheck"
BUILD_TIMEOUT_SECONDS = 240
LOAD_TIMEOUT_SECONDS = 20

pytestmark = [
    pytest.mark.skipif(
        shutil.which("go") is None, reason="Compose's library is built with Go; there is none"
    ),
    pytest.mark.slow,
]


@pytest.fixture(scope="session")
def composecheck(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the program into a temporary folder, with the compiler's usual cache."""
    binary = tmp_path_factory.mktemp("composecheck") / "composecheck"
    built = subprocess.run(  # noqa: S603
        ["go", "build", "-mod=readonly", "-o", str(binary), "."],  # noqa: S607
        cwd=SOURCE,
        capture_output=True,
        text=True,
        timeout=scaled(BUILD_TIMEOUT_SECONDS),
    )
    assert built.returncode == 0, built.stderr
    return binary


def load(composecheck: Path, folder: Path, *profiles: str) -> subprocess.CompletedProcess[str]:
    """Load the file without our own environment, which would override .env."""
    env = {name: os.environ[name] for name in ("HOME", "PATH") if name in os.environ}
    return subprocess.run(  # noqa: S603
        [composecheck, folder, *profiles],
        env=env,
        capture_output=True,
        text=True,
        timeout=scaled(LOAD_TIMEOUT_SECONDS),
    )


def loaded(composecheck: Path, folder: Path, *profiles: str) -> Any:
    done = load(composecheck, folder, *profiles)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)["services"]


def given(service: Mapping[str, Any]) -> dict[str, str]:
    """Return the environment of a container: Compose omits a name without a value."""
    environment = service.get("environment", {})
    return {name: value for name, value in environment.items() if value is not None}


def edit(folder: Path, dot_env: Mapping[str, str], without: Collection[str]) -> None:
    lines = [f"{name}={value}\n" for name, value in dot_env.items() if name not in without]
    (folder / ".env").write_text("".join(lines))


def test_compose_reads_it_as_the_other_tests_do(
    composecheck: Path, folder: Path, compose: dict[str, Service]
) -> None:
    services = loaded(composecheck, folder)

    assert services.keys() == compose.keys()
    for name, service in services.items():
        ours = compose[name]
        assert service["image"] == ours["image"]
        assert service["command"] == ours.get("command")
        assert service["entrypoint"] == ours.get("entrypoint")
        assert given(service) == ours.get("environment", {})
        assert service["restart"] == ours["restart"]
        assert service.get("healthcheck", {}).get("test") == ours.get("healthcheck", {}).get("test")
        assert service.get("cap_drop") == ours.get("cap_drop")
        published = [
            f"{port['host_ip']}:{port['published']}:{port['target']}" for port in service.get("ports", [])
        ]
        assert published == ours.get("ports", [])


def test_every_target_it_builds_is_in_the_dockerfile(
    composecheck: Path, folder: Path, dot_env: object
) -> None:
    builds = [service["build"] for service in loaded(composecheck, folder).values() if "build" in service]

    assert {build["target"] for build in builds} == {"app", "minio"}
    for build in builds:
        assert (Path(build["context"]) / build["dockerfile"]).exists()
        assert f" AS {build['target']}\n" in (Path(build["context"]) / build["dockerfile"]).read_text()


def test_the_simulator_starts_only_with_its_profile(
    composecheck: Path, folder: Path, dot_env: dict[str, str]
) -> None:
    edit(folder, dot_env, without=("COMPOSE_PROFILES",))

    assert "simulator" not in loaded(composecheck, folder)
    assert "simulator" in loaded(composecheck, folder, "simulator")


def test_without_the_simulators_addresses_none_is_passed_on(
    composecheck: Path, folder: Path, dot_env: dict[str, str]
) -> None:
    simulated = {name for name, value in dot_env.items() if "//simulator" in value}
    edit(folder, dot_env, without={*simulated, "COMPOSE_PROFILES"})

    environment = given(loaded(composecheck, folder)["worker"])

    assert simulated
    assert environment.keys() & passed_on() == (dot_env.keys() & passed_on()) - simulated
    assert not any("//simulator" in text for text in strings(environment))


def test_without_a_dot_env_compose_says_what_to_run(composecheck: Path, folder: Path) -> None:
    refused = load(composecheck, folder)

    assert refused.returncode != 0
    assert "is missing a value" in refused.stderr
