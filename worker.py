"""The worker: one process that serves all queues, or those named with --queues."""

import argparse
import asyncio
import logging
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from temporalio.client import Client
from temporalio.runtime import PrometheusConfig, Runtime, TelemetryConfig
from temporalio.worker import Worker
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner, SandboxRestrictions

import composition
from activities.assets import AssetActivities, ImageWriter
from activities.credits import CreditActivities
from activities.interceptors import FailureMappingInterceptor, HeartbeatInterceptor
from activities.moderation import ModerationActivities
from activities.provider import InputFileLoader, ProviderActivities, SyncResultRecorder
from activities.provider_slots import SlotActivities, SlotGranter
from activities.reconcile import ReconcileActivities
from adapters.database.assets import PostgresAssets
from adapters.database.attempts import PostgresAttempts
from adapters.database.engine import Database
from adapters.database.generations import PostgresGenerations
from adapters.database.inbox import PostgresInbox
from adapters.database.input_files import PostgresInputFiles
from adapters.database.ledger import PostgresLedger
from adapters.database.provider_slots import PostgresProviderSlots
from adapters.database.reconcile_queries import PostgresReconcileQueries
from adapters.temporal import TemporalWorkflowClient, connect
from domain import temporal_names
from domain.ports import Ledger
from runtime.health import health_server
from runtime.process import configure_logging, run
from settings import Settings
from workflows.generation import GenerationWorkflow
from workflows.reconcile import ReconcileWorkflow

_log = logging.getLogger("darkroom.worker")
# Pure packages only: a module that is passed through escapes the sandbox's checks.
_PURE = ("domain", "activities", "workflows.attempt", "workflows.steps", "workflows.progress")


@dataclass(frozen=True)
class Activities:
    """Every activity of the service, each given its ports."""

    credits: CreditActivities
    provider: ProviderActivities
    assets: AssetActivities
    places: SlotActivities
    moderation: ModerationActivities
    reconcile: ReconcileActivities


@dataclass(frozen=True)
class Tuning:
    """What a process takes on at once.

    Attributes:
        submits_per_second: By provider; Temporal enforces it over all workers of the queue together.
        max_concurrent: By provider: places there, and so the most submits that a queue can have to run at once.
        ledger_slots: Local activities at once; no more than the database pool has connections.
    """

    submits_per_second: Mapping[str, float]
    max_concurrent: Mapping[str, int]
    ledger_slots: int
    max_activities: int
    cached_workflows: int
    grace: timedelta
    sticky_timeout: timedelta


def build_workers(
    client: Client, activities: Activities, tuning: Tuning, queues: Collection[str] = ()
) -> list[Worker]:
    """One Worker per queue; all of them, or those in `queues`. Tests build theirs here too."""
    ledger = [
        activities.credits.reserve_credits,
        activities.credits.settle_credits,
        activities.credits.refund_credits,
        activities.places.ask_for_place,
        activities.moderation.check_input,
    ]
    wanted: dict[str, dict[str, Any]] = {
        temporal_names.GENERATIONS_QUEUE: {
            "workflows": [GenerationWorkflow],
            "activities": ledger,
            "max_concurrent_local_activities": tuning.ledger_slots,
        },
        temporal_names.ASSETS_QUEUE: {"activities": [activities.assets.store_assets]},
        temporal_names.RECONCILE_QUEUE: {
            "workflows": [ReconcileWorkflow],
            "activities": [activities.reconcile.reconcile],
        },
    }
    for provider, rate in tuning.submits_per_second.items():
        wanted[temporal_names.submit_queue(provider)] = {
            "activities": [activities.provider.submit_job],
            "max_task_queue_activities_per_second": rate,
            # A synchronous provider's submit lasts for minutes. It holds a slot, and nothing else.
            "max_concurrent_activities": max(tuning.max_activities, tuning.max_concurrent[provider]),
        }
        wanted[temporal_names.provider_queue(provider)] = {
            "activities": [activities.provider.fetch_result, activities.provider.cancel_job]
        }
    if unknown := set(queues) - wanted.keys():
        raise ValueError(f"unknown queues {sorted(unknown)}; there are {sorted(wanted)}")
    return [
        _worker(client, queue, tuning, **registered)
        for queue, registered in wanted.items()
        if not queues or queue in queues
    ]


def _worker(client: Client, queue: str, tuning: Tuning, **registered: Any) -> Worker:
    registered.setdefault("max_concurrent_activities", tuning.max_activities)
    return Worker(
        client,
        task_queue=queue,
        interceptors=[FailureMappingInterceptor(), HeartbeatInterceptor()],
        workflow_runner=SandboxedWorkflowRunner(
            restrictions=SandboxRestrictions.default.with_passthrough_modules(*_PURE)
        ),
        max_cached_workflows=tuning.cached_workflows,
        sticky_queue_schedule_to_start_timeout=tuning.sticky_timeout,
        graceful_shutdown_timeout=tuning.grace,
        # An eager activity would pass by the queue's rate limit.
        disable_eager_activity_execution=True,
        **registered,
    )


def tuning_of(settings: Settings) -> Tuning:
    plans = composition.catalog(settings).providers
    rates = {name: plan.submits_per_second for name, plan in plans.items()}
    if settings.fal_submits_per_second is not None and "fal" in rates:
        rates["fal"] = settings.fal_submits_per_second
    return Tuning(
        submits_per_second=rates,
        max_concurrent={name: plan.max_concurrent for name, plan in plans.items()},
        ledger_slots=settings.database_pool_size,
        max_activities=settings.worker_max_activities,
        cached_workflows=settings.worker_cached_workflows,
        grace=timedelta(seconds=settings.worker_grace_seconds),
        sticky_timeout=timedelta(seconds=settings.worker_sticky_timeout_seconds),
    )


@asynccontextmanager
async def real_activities(
    settings: Settings, client: Client, database: Database
) -> AsyncIterator[Activities]:
    """The activities on the real adapters."""
    async with AsyncExitStack() as stack:
        providers = await stack.enter_async_context(composition.providers(settings))
        images = await stack.enter_async_context(composition.images(settings))
        check = await stack.enter_async_context(composition.input_check(settings))
        catalog = composition.catalog(settings)
        limits = {name: plan.max_concurrent for name, plan in catalog.providers.items()}
        runs = TemporalWorkflowClient(
            client, task_timeout=timedelta(seconds=settings.workflow_task_timeout_seconds)
        )
        ledger: Ledger = PostgresLedger(database)
        attempts, assets, files = (
            PostgresAttempts(database),
            PostgresAssets(database),
            PostgresInputFiles(database),
        )
        door = SlotGranter(PostgresProviderSlots(database, limits), runs)
        keeper = ImageWriter(images.inspector, images.store)
        provider = ProviderActivities(
            providers.with_jobs,
            SyncResultRecorder(providers.synchronous, attempts, assets, keeper),
            attempts,
            InputFileLoader(files, images.store),
            door,
            composition.webhook_url(settings),
        )
        yield Activities(
            credits=CreditActivities(ledger, door),
            provider=provider,
            assets=AssetActivities(providers.with_jobs, attempts, assets, images.downloader, keeper, door),
            places=SlotActivities(door),
            moderation=ModerationActivities(PostgresGenerations(database), check),
            reconcile=ReconcileActivities(
                PostgresReconcileQueries(database, catalog),
                runs,
                ledger,
                PostgresInbox(database),
                images.store,
                provider,
                files,
                door,
                limits.keys(),
            ),
        )


async def serve(settings: Settings, queues: Sequence[str], stop: asyncio.Event) -> int:
    """Work until told to stop, then finish what is held, within the grace."""
    metrics = PrometheusConfig(
        bind_address=f"{settings.worker_host}:{settings.worker_metrics_port}",
        counters_total_suffix=True,
        unit_suffix=True,
        durations_as_seconds=True,
    )
    runtime = Runtime(telemetry=TelemetryConfig(metrics=metrics))
    client = await connect(composition.temporal_address(settings), runtime=runtime)
    database = composition.database(settings)
    async with real_activities(settings, client, database) as activities, AsyncExitStack() as stack:
        workers = build_workers(client, activities, tuning_of(settings), queues)
        for worker in workers:
            await stack.enter_async_context(worker)
        await stack.enter_async_context(
            health_server(
                settings.worker_host,
                settings.worker_health_port,
                lambda: all(worker.is_running for worker in workers),
            )
        )
        _log.info("serving %s", ", ".join(worker.task_queue for worker in workers))
        await stop.wait()
        _log.info("stopping; up to %s s for what is held", settings.worker_grace_seconds)
    await database.close()
    return 0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--queues", default="", help="comma-separated; all of them if left out")
    queues = [queue for queue in parser.parse_args().queues.split(",") if queue]
    settings = Settings()
    configure_logging(settings.log_level)
    run(lambda stop: serve(settings, queues, stop))


if __name__ == "__main__":
    main()
