"""A checkout's deployment files in a folder of their own, with a .env as `deploy/make-env` writes it."""

import shutil
import subprocess
from pathlib import Path

import pytest

from composition import ServiceSettings
from tests.deploy.app_settings import APP_SERVICES, read_settings
from tests.deploy.compose_file import COMPOSE_FILE, ROOT, Service, read_env, services


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """What a checkout has for Docker, without a .env."""
    for file in (COMPOSE_FILE, ROOT / "Dockerfile", ROOT / ".env.example"):
        shutil.copy(file, tmp_path)
    shutil.copytree(ROOT / "deploy", tmp_path / "deploy")
    return tmp_path


@pytest.fixture
def dot_env(folder: Path) -> dict[str, str]:
    """The values of a fresh .env, which is now in `folder`."""
    subprocess.run([folder / "deploy" / "make-env"], check=True, timeout=10, capture_output=True)  # noqa: S603
    return read_env(folder / ".env")


@pytest.fixture
def compose(dot_env: dict[str, str]) -> dict[str, Service]:
    """The services, as that .env fills them."""
    return services(dot_env)


@pytest.fixture
def settings(compose: dict[str, Service], monkeypatch: pytest.MonkeyPatch) -> dict[str, ServiceSettings]:
    return {name: read_settings(compose[name], monkeypatch) for name in APP_SERVICES}
