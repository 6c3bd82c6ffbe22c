"""The settings that our services read from their environment in docker-compose.yml."""

import httpx
import pytest

from composition import ServiceSettings
from composition.settings import setting_fields
from tests.deploy.compose_file import Service

APP_SERVICES = ("bootstrap", "api", "worker")


def read_settings(service: Service, monkeypatch: pytest.MonkeyPatch) -> ServiceSettings:
    """Return the settings that a service reads from its environment."""
    with monkeypatch.context() as patched:
        for name in setting_fields():
            patched.delenv(name.upper(), raising=False)
        for variable, value in service["environment"].items():
            patched.setenv(variable, value)
        return ServiceSettings()


def health_url(service: Service) -> httpx.URL:
    return httpx.URL(service["healthcheck"]["test"][-1])
