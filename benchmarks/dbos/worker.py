"""The worker of the DBOS side: `python -m benchmarks.dbos.worker`, with Darkroom's settings.

DBOS_DATABASE_URL: the database of DBOS's own tables, which it makes. DBOS_QUEUE_POLLING_SECONDS: how often it
looks for accepted generations.
"""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from temporalio.testing import ActivityEnvironment

from benchmarks.dbos import DATABASE_VARIABLE, POLLING_VARIABLE
from benchmarks.dbos.engine import DbosSteps, DbosWorkflowClient, Start, running_workflows
from composition import ServiceSettings, new_event_loop, read_settings
from composition.activities import worker_activities
from composition.repositories import check_schema, database
from domain.batches import BatchInput
from domain.errors import TemporalUnavailable
from domain.ports import WorkflowState
from runtime.health import health_server
from runtime.logs import configure_logging
from runtime.process import run
from runtime.work_folder import work_folder


class NoBatches:
    """What a batch's workflow would be started with: none runs here."""

    async def start_batch(self, batch: BatchInput) -> None:
        raise TemporalUnavailable

    async def signal_batch_cancel(self, batch_id: str) -> bool:
        raise TemporalUnavailable

    async def describe_batch(self, batch_id: str) -> WorkflowState:
        raise TemporalUnavailable


@asynccontextmanager
async def working(settings: ServiceSettings) -> AsyncIterator[Start]:
    """Run generations for the block; yield what starts one in this process, past the queue."""
    url, polling_seconds = os.environ[DATABASE_VARIABLE], float(os.environ[POLLING_VARIABLE])
    pool, client, environment = database(settings), DbosWorkflowClient(url), ActivityEnvironment()
    await check_schema(pool)
    async with worker_activities(settings, client, NoBatches(), pool) as activities:
        steps = DbosSteps(activities, environment)
        async with running_workflows(url, steps, queue_polling_seconds=polling_seconds) as start:
            yield start
            environment.worker_shutdown()
    client.close()
    await pool.close()


async def serve(settings: ServiceSettings, stop: asyncio.Event) -> int:
    with work_folder():
        async with (
            working(settings),
            health_server(settings.worker_host, settings.worker_health_port, lambda: not stop.is_set()),
        ):
            await stop.wait()
    return 0


def main() -> None:
    settings = read_settings()
    configure_logging(settings.log_level, settings.log_format)
    run(lambda stop: serve(settings, stop), new_event_loop)


if __name__ == "__main__":
    main()
