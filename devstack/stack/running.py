"""The whole of Darkroom on one machine: the servers, the database's schema, a client, the worker and the API.

    with running_stack(folder) as stack:
        httpx.post(f"{stack.api_url}/v1/generations", headers=stack.authorization, json=…)

`make up`, `make demo` and the benchmark use it. Without a folder, the data is temporary.
"""

import os
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from devstack.process import data_directory
from devstack.process.data_directory import DataDir
from devstack.process.log import Log, log
from devstack.process.stop_flag import StopFlag
from devstack.process.supervisor import Supervisor
from devstack.servers import app_processes, simulators
from devstack.servers.running import Servers, start_servers
from devstack.stack.client_account import ClientAccount, make_account, open_account
from devstack.stack.stack_file import StackRecord

BUCKET = "darkroom"
# Shorter than in production, so that each repair is visible. The environment overrides it.
WAITS = {
    "RECONCILE_EVERY_SECONDS": "10",
    "DEADLINE_CAP_SECONDS": "75",
    "FIRST_POLL_CAP_SECONDS": "5",
    "SHOW_TEMPORAL_UI_LINKS": "true",
    "WORKER_GRACE_SECONDS": "8",
}
# Longer than the worker's own grace, which it needs to finish what it holds.
WORKER_STOP_TIMEOUT_SECONDS = 15.0


@dataclass(frozen=True)
class Stack:
    """A stack that is ready. environment: of worker, API and admin commands."""

    folder: Path
    api_url: str
    api_internal_url: str
    client: ClientAccount
    servers: Servers
    supervisor: Supervisor
    environment: Mapping[str, str] = field(repr=False)

    def open_tenant(self, tenant_id: str, credits: int) -> ClientAccount:
        """Make another tenant with credits, and a key."""
        return make_account(tenant_id, credits, self.environment, self.supervisor.stop_flag)

    @property
    def authorization(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.client.api_key}"}

    def facts(self) -> dict[str, Any]:
        """Return the content of `stack.json`, except the pids."""
        return {
            "api_url": self.api_url,
            "api_internal_url": self.api_internal_url,
            "api_key": self.client.api_key,
            "tenant_id": self.client.tenant_id,
            "temporal_address": self.servers.temporal.address,
            "temporal_namespace": self.servers.temporal.namespace,
            "temporal_ui_url": self.servers.temporal.ui_url,
            "s3_endpoint": self.servers.s3.endpoint,
            "s3_access_key": self.servers.s3.access_key,
            "s3_secret_key": self.servers.s3.secret_key,
            "s3_bucket": _bucket(),
            "database_url": self.servers.postgres.url,
            "simulators": dict(self.servers.simulators),
            "settings": dict(self.environment),
        }


@contextmanager
def running_stack(
    folder: Path | None = None,
    *,
    settings: Mapping[str, str] = WAITS,
    simulator_arguments: tuple[str, ...] = (),
    is_durable: bool = True,
    stop: StopFlag | None = None,
    log: Log = log,
) -> Iterator[Stack]:
    """Run a stack for the block.

    settings: for worker and API, unless the environment sets them.
    simulator_arguments: more options of `python -m simulator`.
    """
    stop = stop or StopFlag()
    with ExitStack() as exits:
        data = DataDir(folder or exits.enter_context(data_directory.temporary_folder()))
        orphans = exits.enter_context(data.held())
        if orphans:
            log(f"ended what a killed run had left running: {', '.join(orphans)}")
        record = StackRecord(data.path)
        supervisor = exits.enter_context(Supervisor(data.path, stop=stop, log=log, on_change=record.update))
        exits.callback(record.withdraw)
        log("starting PostgreSQL, Temporal, the object store and the simulators …")
        servers = start_servers(
            supervisor,
            data,
            simulator_arguments=simulator_arguments,
            is_durable=is_durable,
            log=log,
        )
        stack = _start(supervisor, data, servers, settings=settings, log=log)
        record.publish(stack.facts())
        supervisor.announce()
        yield stack


def _start(
    supervisor: Supervisor, data: DataDir, servers: Servers, *, settings: Mapping[str, str], log: Log
) -> Stack:
    """Start our own processes on servers that are ready."""
    env = _environment(data, servers, settings)
    log("preparing database, search attributes, schedule and bucket …")
    app_processes.run_admin("bootstrap", env=env, stop=supervisor.stop_flag)
    log("starting the worker and the API …")
    api_url, api_internal_url = env["PUBLIC_URL"], f"http://127.0.0.1:{env['API_INTERNAL_PORT']}"
    with ThreadPoolExecutor() as pool:
        parts = [
            pool.submit(_start_worker, supervisor, env),
            pool.submit(
                app_processes.start,
                supervisor,
                "api",
                ("-m", "api"),
                env=env,
                ready_url=f"{api_internal_url}/readyz",
            ),
        ]
        opening_account = pool.submit(open_account, data, env, supervisor.stop_flag)
        for part in parts:
            part.result()
        return Stack(data.path, api_url, api_internal_url, opening_account.result(), servers, supervisor, env)


def _start_worker(supervisor: Supervisor, env: Mapping[str, str]) -> None:
    app_processes.start(
        supervisor,
        "worker",
        ("worker.py",),
        env=env,
        ready_url=f"http://127.0.0.1:{env['WORKER_HEALTH_PORT']}/healthz",
        stop_timeout_seconds=WORKER_STOP_TIMEOUT_SECONDS,
    )


def _environment(data: DataDir, servers: Servers, settings: Mapping[str, str]) -> dict[str, str]:
    """Return the settings of worker, API and admin commands."""
    api_port = data.port("api")
    ours = {name: os.environ.get(name, value) for name, value in settings.items()}
    if servers.temporal.ui_url:
        ours["TEMPORAL_UI_URL"] = servers.temporal.ui_url
    ours |= simulators.settings(data, servers.simulators)
    return ours | {
        "ENVIRONMENT": "development",
        "MASTER_KEY": os.environ.get("MASTER_KEY") or data.secret("master_key"),
        "DATABASE_URL": servers.postgres.url,
        "TEMPORAL_ADDRESS": servers.temporal.address,
        "TEMPORAL_NAMESPACE": servers.temporal.namespace,
        "S3_ENDPOINT": servers.s3.endpoint,
        "S3_ACCESS_KEY": servers.s3.access_key,
        "S3_SECRET_KEY": servers.s3.secret_key,
        "S3_REGION": servers.s3.region,
        "S3_BUCKET": _bucket(),
        "API_HOST": "127.0.0.1",
        "API_PORT": str(api_port),
        "API_INTERNAL_HOST": "127.0.0.1",
        "API_INTERNAL_PORT": str(data.port("api_internal")),
        "PUBLIC_URL": f"http://127.0.0.1:{api_port}",
        "WORKER_HOST": "127.0.0.1",
        "WORKER_HEALTH_PORT": str(data.port("worker_health")),
        "WORKER_METRICS_PORT": str(data.port("worker_metrics")),
    }


def _bucket() -> str:
    return os.environ.get("S3_BUCKET", BUCKET)
