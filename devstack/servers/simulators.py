"""The simulated providers: one process for all of them, and the settings that lead to it."""

import json
from collections.abc import Mapping

import httpx

from devstack.errors import NotReady
from devstack.process.data_directory import DataDir
from devstack.process.supervisor import Supervisor
from devstack.servers.app_processes import REQUEST_TIMEOUT_SECONDS, start

# In the order in which `python -m simulator all` takes their ports.
PROVIDERS = ("fal", "replicate", "bfl", "gemini", "openai", "together")
NAME = "simulator"


def start_simulators(
    supervisor: Supervisor, data: DataDir, arguments: tuple[str, ...] = ()
) -> dict[str, str]:
    """All of them, with their jobs kept in the data folder; each one's base URL.

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
    """What sends our worker and API to the simulators instead of to the providers."""
    key, user_id = _account(data)
    region = f"http://127.0.0.1:{_region_port(data)}"
    return {
        "FAL_KEY": key,
        "FAL_USER_ID": user_id,
        "FAL_QUEUE_URL": urls["fal"],
        "FAL_JWKS_URL": f"{urls['fal']}/.well-known/jwks.json",
        "FAL_RESULT_HOSTS": urls["fal"],
        "REPLICATE_API_TOKEN": key,
        "REPLICATE_URL": f"{urls['replicate']}/v1",
        "REPLICATE_WEBHOOK_SECRETS": _replicate_secret(urls["replicate"], key),
        "REPLICATE_RESULT_HOSTS": urls["replicate"],
        "BFL_API_KEY": key,
        "BFL_URL": urls["bfl"],
        "BFL_POLLING_HOSTS": region,
        "BFL_RESULT_HOSTS": f"{urls['bfl']},{region}",
        "OPENAI_API_KEY": key,
        "OPENAI_URL": f"{urls['openai']}/v1",
        "GEMINI_API_KEY": key,
        "GEMINI_URL": f"{urls['gemini']}/v1beta",
        "TOGETHER_API_KEY": key,
        "TOGETHER_URL": f"{urls['together']}/v1",
    }


def _replicate_secret(url: str, token: str) -> str:
    """As every account finds its own: by asking Replicate."""
    try:
        answer = httpx.get(
            f"{url}/v1/webhooks/default/secret",
            headers={"Authorization": f"Bearer {token}"},
            timeout=REQUEST_TIMEOUT_SECONDS,
            trust_env=False,
        )
        return str(answer.raise_for_status().json()["key"])
    except (httpx.HTTPError, json.JSONDecodeError, KeyError) as error:
        raise NotReady(f"the simulated Replicate did not tell its webhook secret: {error!r}") from error


def _region_port(data: DataDir) -> int:
    return data.port("simulator-bfl-region")


def _account(data: DataDir) -> tuple[str, str]:
    return data.secret("simulator_key"), data.secret("simulator_user_id")
