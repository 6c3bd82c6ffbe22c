"""A PostgreSQL of a benchmark's own with the tables of Darkroom, and the processes that work on it."""

import asyncio
import json
import sys
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from typing import Any

from admin.bootstrap import migrate
from benchmarks.blocking import in_thread
from benchmarks.errors import RunFailed
from devstack.process import data_directory
from devstack.process.data_directory import DataDir
from devstack.process.log import log
from devstack.process.stop_flag import StopFlag
from devstack.process.supervisor import Supervisor
from devstack.servers import postgres
from devstack.servers.app_processes import ROOT

_START_SECONDS = 30.0
_END_SECONDS = 30.0


@contextmanager
def database_server(stop: StopFlag) -> Iterator[str]:
    """Run a durable server for the block; yield the URL of its database, which is empty."""
    with (
        data_directory.temporary_folder() as folder,
        (data := DataDir(folder)).held(),
        Supervisor(folder, stop=stop, log=log) as supervisor,
    ):
        yield postgres.start(supervisor, data, log=log).url


@asynccontextmanager
async def migrated_database(stop: StopFlag) -> AsyncIterator[str]:
    """Run a durable server with empty tables for the block; return the URL of its database."""
    async with in_thread(database_server(stop)) as url:
        await asyncio.to_thread(migrate, url)
        yield url


async def in_processes(jobs: Sequence[dict[str, Any]], seconds: float) -> list[dict[str, Any]]:
    """Give each job to a process of its own, all to begin at the same moment; return what each reports.

    Raises RunFailed if one fails.
    """
    processes = [
        await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "benchmarks.contention.process"),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            cwd=ROOT,
            start_new_session=True,
        )
        for _ in jobs
    ]
    try:
        async with asyncio.timeout(_START_SECONDS + seconds + _END_SECONDS):
            for process in processes:
                assert process.stdout is not None
                await process.stdout.readline()  # it has imported all it needs
            begin_at = time.time() + 1.0
            outputs = await asyncio.gather(
                *(
                    process.communicate(json.dumps(job | {"begin_at": begin_at, "seconds": seconds}).encode())
                    for process, job in zip(processes, jobs, strict=True)
                )
            )
        return [json.loads(output) for output, _ in outputs]
    except (TimeoutError, ValueError) as error:
        raise RunFailed(f"a process did not do its job: {error!r}") from error
    finally:
        for process in processes:
            if process.returncode is None:
                process.kill()
                await process.wait()
