"""PostgreSQL, Temporal, the object store and the simulators, started concurrently.

The test suite uses them without the rest of the stack:

    with running_servers() as servers:
        servers.postgres.url, servers.temporal.address, servers.s3.endpoint, servers.simulators["fal"]

`DATABASE_URL`, `TEMPORAL_ADDRESS` and `S3_ENDPOINT` each name a running server, which is then used instead.
"""

import os
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from devstack.errors import StackError
from devstack.install import programs
from devstack.process import data_directory
from devstack.process.data_directory import DataDir
from devstack.process.log import Log, silent
from devstack.process.stop_flag import StopFlag
from devstack.process.supervisor import Supervisor
from devstack.servers import object_store, postgres, simulators, temporal
from devstack.servers.object_store import ObjectStore
from devstack.servers.postgres import Postgres
from devstack.servers.temporal import Temporal


@dataclass(frozen=True)
class Servers:
    """Where the running servers are. `simulators`: provider to base URL."""

    postgres: Postgres
    temporal: Temporal
    s3: ObjectStore
    simulators: Mapping[str, str]


@contextmanager
def running_servers(
    folder: Path | None = None,
    *,
    with_simulators: bool = True,
    is_durable: bool = False,
    stop: StopFlag | None = None,
    log: Log = silent,
) -> Iterator[Servers]:
    """Run the servers for the block. Without a folder their data is temporary."""
    stop = stop or StopFlag()
    with ExitStack() as exits:
        data = DataDir(folder or exits.enter_context(data_directory.temporary_folder()))
        exits.enter_context(data.held())
        supervisor = exits.enter_context(Supervisor(data.path, stop=stop, log=log))
        yield start_servers(supervisor, data, with_simulators=with_simulators, is_durable=is_durable, log=log)


def install_missing(*, stop: StopFlag, log: Log) -> None:
    """Install what the environment does not name, one after the other, as a build uses every core."""
    if not os.environ.get("TEMPORAL_ADDRESS"):
        programs.temporal(stop=stop, log=log)
    if not os.environ.get("S3_ENDPOINT"):
        programs.minio(stop=stop, log=log)


def start_servers(
    supervisor: Supervisor,
    data: DataDir,
    *,
    with_simulators: bool = True,
    simulator_arguments: tuple[str, ...] = (),
    is_durable: bool,
    log: Log,
) -> Servers:
    """Start them all at once, and wait for all."""
    install_missing(stop=supervisor.stop_flag, log=log)
    with ThreadPoolExecutor() as pool:
        starting_postgres = pool.submit(_postgres, supervisor, data, log, is_durable=is_durable)
        starting_temporal = pool.submit(_temporal, supervisor, data, log)
        starting_s3 = pool.submit(_s3, supervisor, data, log)
        starting_simulators = None
        if with_simulators:
            starting_simulators = pool.submit(
                simulators.start_simulators, supervisor, data, simulator_arguments
            )
        return Servers(
            starting_postgres.result(),
            starting_temporal.result(),
            starting_s3.result(),
            starting_simulators.result() if starting_simulators else {},
        )


def _postgres(supervisor: Supervisor, data: DataDir, log: Log, *, is_durable: bool) -> Postgres:
    if url := os.environ.get("DATABASE_URL"):
        return Postgres(url)
    return postgres.start(supervisor, data, log=log, is_durable=is_durable)


def _temporal(supervisor: Supervisor, data: DataDir, log: Log) -> Temporal:
    if address := os.environ.get("TEMPORAL_ADDRESS"):
        namespace = os.environ.get("TEMPORAL_NAMESPACE", temporal.NAMESPACE)
        return Temporal(address, os.environ.get("TEMPORAL_UI_URL"), namespace)
    return temporal.start(supervisor, data, programs.temporal(stop=supervisor.stop_flag, log=log))


def _s3(supervisor: Supervisor, data: DataDir, log: Log) -> ObjectStore:
    if not (endpoint := os.environ.get("S3_ENDPOINT")):
        return object_store.start(supervisor, data, programs.minio(stop=supervisor.stop_flag, log=log))
    try:
        access_key, secret_key = os.environ["S3_ACCESS_KEY"], os.environ["S3_SECRET_KEY"]
    except KeyError as error:
        raise StackError(f"S3_ENDPOINT is set, so {error.args[0]} must be set too") from None
    return ObjectStore(endpoint, access_key, secret_key, os.environ.get("S3_REGION", object_store.REGION))
