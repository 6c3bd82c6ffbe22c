"""The worker: one process that serves all queues, or those named with --queues."""

import argparse
import asyncio
import logging
from collections.abc import Collection, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from temporalio.client import Client
from temporalio.runtime import PrometheusConfig, Runtime, TelemetryConfig
from temporalio.worker import Worker, WorkflowRunner

from activities.interceptors import FailureMappingInterceptor, HeartbeatInterceptor, StoppingInterceptor
from composition import ServiceSettings, new_event_loop, read_settings, refuse_unsafe
from composition.activities import Activities, worker_activities
from composition.deliveries import dispatching
from composition.providers import submits_per_second
from composition.repositories import Database, catalog, check_schema, database
from composition.temporal import batch_workflows, temporal_client, workflow_client
from composition.usage_events import sending_usage_events
from domain import temporal_names
from runtime.health import health_server
from runtime.logs import configure_logging
from runtime.process import run
from runtime.work_folder import work_folder
from runtime.workers import run_workers
from runtime.workflow_runner import PRODUCTION_RUNNER
from workflows.batch import BatchWorkflow
from workflows.books import CheckBooksWorkflow
from workflows.delivery import DeliveryWorkflow
from workflows.generation import GenerationWorkflow
from workflows.reconcile import ReconcileWorkflow

_log = logging.getLogger("darkroom.worker")
# The images of all results wait for the same decoders. With five, results of ten images that take 10 s each
# are stored within the ten minutes that an activity has.
_STORES_PER_DECODER = 5


@dataclass(frozen=True)
class Tuning:
    """How much a process does at once.

    Attributes:
        submits_per_second: By provider; Temporal enforces it over all workers of the queue together.
        max_concurrent: By provider: its slots, and so the largest number of submits that can run at once.
        max_stores: Results that are stored at once.
        max_local_activities: No more than the database pool has connections.
        max_workflow_tasks: Few, because a task that was taken must end within its timeout, or is done again.
    """

    submits_per_second: Mapping[str, float]
    max_concurrent: Mapping[str, int]
    max_local_activities: int
    max_activities: int
    max_stores: int
    max_workflow_tasks: int
    cached_workflows: int
    grace: timedelta
    sticky_timeout: timedelta
    # Each is one small request to one receiver, of which no tenant may have many at once.
    max_deliveries: int = 500
    # Each mostly waits, from look to look.
    max_batches: int = 200
    # Each is work for the processor, which the event loop of everything else has to share.
    max_batch_files: int = 2


def build_workers(
    client: Client,
    activities: Activities,
    tuning: Tuning,
    queues: Collection[str] = (),
    *,
    stop: asyncio.Event,
    workflow_runner: WorkflowRunner = PRODUCTION_RUNNER,
) -> list[Worker]:
    """Build a Worker per queue: all of them, or those in `queues`. Tests build theirs here too.

    stop: Once it is set, no activity begins any more.
    """
    wanted = _queues(activities, tuning)
    return [
        _worker(client, queue, tuning, stop, workflow_runner=workflow_runner, **wanted[queue])
        for queue in _selected(queues, list(wanted))
    ]


def _queues(activities: Activities, tuning: Tuning) -> dict[str, dict[str, Any]]:
    """Return what each queue is served with."""
    ledger = [
        activities.credits.reserve_credits,
        activities.credits.settle_credits,
        activities.credits.refund_credits,
        activities.slots.request_slot,
        activities.moderation.check_input,
    ]
    wanted: dict[str, dict[str, Any]] = {
        temporal_names.GENERATIONS_QUEUE: {
            "workflows": [GenerationWorkflow],
            "activities": ledger,
            "max_concurrent_local_activities": tuning.max_local_activities,
            "max_concurrent_workflow_tasks": tuning.max_workflow_tasks,
        },
        temporal_names.ASSETS_QUEUE: {
            "activities": [activities.assets.store_assets],
            "max_concurrent_activities": tuning.max_stores,
        },
        temporal_names.RECONCILE_QUEUE: {
            "workflows": [ReconcileWorkflow, CheckBooksWorkflow],
            "activities": [activities.reconcile.reconcile, activities.books.check_books],
        },
        temporal_names.DELIVERIES_QUEUE: {
            "workflows": [DeliveryWorkflow],
            "activities": [activities.deliveries.send_webhook],
            "max_concurrent_activities": tuning.max_deliveries,
            "max_concurrent_workflow_tasks": tuning.max_workflow_tasks,
        },
    } | _queues_of_batches(activities, tuning)
    for provider, rate in tuning.submits_per_second.items():
        wanted[temporal_names.submit_queue(provider)] = {
            "activities": [activities.provider.submit_job],
            "max_task_queue_activities_per_second": rate,
            # A synchronous provider's submit lasts for minutes, and holds an activity slot of the worker.
            "max_concurrent_activities": max(tuning.max_activities, tuning.max_concurrent[provider]),
        }
        wanted[temporal_names.provider_queue(provider)] = {
            "activities": [activities.provider.fetch_result, activities.provider.cancel_job]
        }
    return wanted


def _queues_of_batches(activities: Activities, tuning: Tuning) -> dict[str, dict[str, Any]]:
    return {
        temporal_names.BATCHES_QUEUE: {
            "workflows": [BatchWorkflow],
            "activities": [activities.batches.advance_batch],
            "max_concurrent_activities": tuning.max_batches,
            "max_concurrent_workflow_tasks": tuning.max_workflow_tasks,
        },
        temporal_names.BATCH_FILES_QUEUE: {
            "activities": [activities.batches.validate_batch],
            "max_concurrent_activities": tuning.max_batch_files,
        },
    }


def _selected(queues: Collection[str], known: Sequence[str]) -> Sequence[str]:
    if unknown := set(queues) - set(known):
        raise ValueError(f"unknown queues {sorted(unknown)}; there are {sorted(known)}")
    return [queue for queue in known if not queues or queue in queues]


def _worker(client: Client, queue: str, tuning: Tuning, stop: asyncio.Event, **registered: Any) -> Worker:
    registered.setdefault("max_concurrent_activities", tuning.max_activities)
    return Worker(
        client,
        task_queue=queue,
        interceptors=[StoppingInterceptor(stop), FailureMappingInterceptor(), HeartbeatInterceptor()],
        max_cached_workflows=tuning.cached_workflows,
        sticky_queue_schedule_to_start_timeout=tuning.sticky_timeout,
        graceful_shutdown_timeout=tuning.grace,
        # An eager activity would bypass the queue's rate limit.
        disable_eager_activity_execution=True,
        **registered,
    )


def tuning_of(settings: ServiceSettings) -> Tuning:
    providers = catalog(settings).providers
    rates = {name: provider.submits_per_second for name, provider in providers.items()}
    rates |= {name: rate for name, rate in submits_per_second(settings).items() if name in rates}
    return Tuning(
        submits_per_second=rates,
        max_concurrent={name: provider.max_concurrent for name, provider in providers.items()},
        max_local_activities=settings.database_pool_size,
        max_activities=settings.worker_max_activities,
        max_stores=min(settings.worker_max_activities, _STORES_PER_DECODER * settings.image_decoders),
        max_workflow_tasks=settings.worker_max_workflow_tasks,
        cached_workflows=settings.worker_cached_workflows,
        grace=timedelta(seconds=settings.worker_grace_seconds),
        sticky_timeout=timedelta(seconds=settings.worker_sticky_timeout_seconds),
    )


async def serve(settings: ServiceSettings, queues: Sequence[str], stop: asyncio.Event) -> int:
    """Work until stopped, then finish running activities within the grace period."""
    metrics = PrometheusConfig(
        bind_address=f"{settings.worker_host}:{settings.worker_metrics_port}",
        counters_total_suffix=True,
        unit_suffix=True,
        durations_as_seconds=True,
    )
    runtime = Runtime(telemetry=TelemetryConfig(metrics=metrics))
    client = await temporal_client(settings, runtime=runtime)
    pool = database(settings)
    await check_schema(pool)
    with work_folder():
        await _work(settings, client, pool, queues, stop)
    await pool.close()
    return 0


async def _work(
    settings: ServiceSettings, client: Client, pool: Database, queues: Sequence[str], stop: asyncio.Event
) -> None:
    workflows = workflow_client(settings, client)
    batches = batch_workflows(settings, client)
    async with worker_activities(settings, workflows, batches, pool) as activities:
        workers = build_workers(client, activities, tuning_of(settings), queues, stop=stop)

        def is_serving() -> bool:
            return not stop.is_set() and all(worker.is_running for worker in workers)

        async with health_server(settings.worker_host, settings.worker_health_port, is_serving):
            served = [worker.task_queue for worker in workers]
            _log.info("serving %s", ", ".join(served))
            async with AsyncExitStack() as beside:
                if temporal_names.DELIVERIES_QUEUE in served:
                    await beside.enter_async_context(dispatching(settings, pool, client))
                    await beside.enter_async_context(sending_usage_events(settings, pool))
                await run_workers(workers, stop)
            _log.info("stopped")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--queues", default="", help="comma-separated; all of them if left out")
    queues = [queue for queue in parser.parse_args().queues.split(",") if queue]
    settings = read_settings()
    configure_logging(settings.log_level, settings.log_format)
    refuse_unsafe(settings)
    run(lambda stop: serve(settings, queues, stop), new_event_loop)


if __name__ == "__main__":
    main()
