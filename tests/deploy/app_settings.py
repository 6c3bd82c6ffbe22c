"""What our services make of the environment that docker-compose.yml gives them."""

import httpx
import pytest

from settings import Settings
from tests.deploy.compose_file import Service

APP_SERVICES = ("bootstrap", "api", "worker")


def read_settings(service: Service, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """What a service of ours reads from the environment that it is given."""
    with monkeypatch.context() as patched:
        for field in Settings.model_fields:
            patched.delenv(field.upper(), raising=False)
        for variable, value in service["environment"].items():
            patched.setenv(variable, value)
        return Settings()


def health_url(service: Service) -> httpx.URL:
    return httpx.URL(service["healthcheck"]["test"][-1])
