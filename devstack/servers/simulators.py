"""The simulated providers: one process for all of them, and the settings that lead to it."""

import json
from collections.abc import Mapping

import httpx

from devstack.errors import NotReady
from devstack.process.data_directory import DataDir
from devstack.process.supervisor import Supervisor
from devstack.servers.app_processes import REQUEST_TIMEOUT_SECONDS, start
from simulator.core.provider import Account, WebhookSecret
from simulator.registry import PROVIDERS as SIMULATED

PROVIDERS = tuple(SIMULATED)
NAME = "simulator"


def start_simulators(
    supervisor: Supervisor, data: DataDir, arguments: tuple[str, ...] = ()
) -> dict[str, str]:
    """Start all, with their jobs stored in the data folder; return each one's base URL.

    arguments: more options of `python -m simulator`.
    """
    folder = data.path / NAME
    folder.mkdir(mode=0o700, exist_ok=True)
    ports = {provider: data.port(f"simulator-{provider}") for provider in PROVIDERS}
    urls = {provider: f"http://127.0.0.1:{port}" for provider, port in ports.items()}
    key, user_id = _account(data)
    start(
        supervisor,
        NAME,
        (
            *("-m", "simulator", "all", "--state", str(folder), "--key", key, "--user-id", user_id),
            *("--ports", ",".join(str(port) for port in ports.values())),
            *("--polling-port", str(_region_port(data)), *arguments),
        ),
        env={},
        ready_url=f"{urls['fal']}/_sim/health",
    )
    return urls


def settings(data: DataDir, urls: Mapping[str, str]) -> dict[str, str]:
    """Return the settings that point worker and API at the simulators."""
    key, user_id = _account(data)
    region_url = f"http://127.0.0.1:{_region_port(data)}"
    found: dict[str, str] = {}
    for name, provider in SIMULATED.items():
        account = Account(urls[name], region_url, key, user_id)
        found |= provider.client_settings(account)
        if provider.webhook_secret is not None:
            found[provider.webhook_secret.setting] = _webhook_secret(account, provider.webhook_secret)
    return found


def _webhook_secret(account: Account, secret: WebhookSecret) -> str:
    """Read an account's webhook secret from the provider's API."""
    try:
        response = httpx.get(
            f"{account.url}{secret.path}",
            headers={"Authorization": f"Bearer {account.key}"},
            timeout=REQUEST_TIMEOUT_SECONDS,
            trust_env=False,
        )
        return str(response.raise_for_status().json()["key"])
    except (httpx.HTTPError, json.JSONDecodeError, KeyError) as error:
        raise NotReady(f"no value for {secret.setting} at {account.url}: {error!r}") from error


def _region_port(data: DataDir) -> int:
    return data.port("simulator-bfl-region")


def _account(data: DataDir) -> tuple[str, str]:
    return data.secret("simulator_key"), data.secret("simulator_user_id")
