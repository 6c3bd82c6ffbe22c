"""The deployment files of a checkout in a temporary folder, with a .env of `deploy/make-env`."""

import shutil
import subprocess
from pathlib import Path

import pytest

from composition import ServiceSettings
from tests.deploy.app_settings import APP_SERVICES, read_settings
from tests.deploy.compose_file import COMPOSE_FILE, ROOT, Service, read_env, services
from tests.support.time_limits import scaled


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder with the files for Docker, without a .env."""
    for file in (COMPOSE_FILE, ROOT / "Dockerfile", ROOT / ".env.example"):
        shutil.copy(file, tmp_path)
    shutil.copytree(ROOT / "deploy", tmp_path / "deploy")
    return tmp_path


@pytest.fixture
def dot_env(folder: Path) -> dict[str, str]:
    """Write a new .env to `folder`; return its values."""
    subprocess.run([folder / "deploy" / "make-env"], check=True, timeout=scaled(10), capture_output=True)  # noqa: S603
    return read_env(folder / ".env")


@pytest.fixture
def compose(dot_env: dict[str, str]) -> dict[str, Service]:
    """Return the services, filled in from that .env."""
    return services(dot_env)


@pytest.fixture
def settings(compose: dict[str, Service], monkeypatch: pytest.MonkeyPatch) -> dict[str, ServiceSettings]:
    return {name: read_settings(compose[name], monkeypatch) for name in APP_SERVICES}
