"""What is behind the routes of the API, on the real adapters."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Protocol

from temporalio.client import Client

from adapters.database.api_keys import PostgresApiKeys
from adapters.database.books import PostgresBooks
from adapters.database.credits import PostgresCreditAccounts
from adapters.database.durations import PostgresDurations
from adapters.database.engine import Database
from adapters.database.erasure import PostgresErasure
from adapters.database.events import PostgresEventLog
from adapters.database.generations import PostgresGenerations
from adapters.database.image_requests import PostgresImageRequests
from adapters.database.inbox import PostgresInbox
from adapters.database.input_files import PostgresInputFiles
from adapters.database.key_lists import PostgresKeyLists
from adapters.database.key_states import PostgresKeyStates
from adapters.database.lots import PostgresLots
from adapters.database.managed_keys import PostgresManagedKeys
from adapters.database.progress import PostgresProgressRecords
from adapters.database.provider_slots import PostgresProviderSlots
from adapters.database.provider_status import PostgresInstallation
from adapters.database.tenant_usage import PostgresTenantUsages
from adapters.database.tenants import PostgresTenants
from adapters.providers.http.client import provider_client
from adapters.storage.s3 import S3Store
from api.deps import Services
from api.http.job_view import SubmitDecisions
from api.http.serializers import GenerationSerializer
from api.services.admission import Admission
from api.services.api_keys import ApiKeyService
from api.services.batches import BatchService
from api.services.credits import CreditService
from api.services.durations import Durations
from api.services.estimates import Estimates
from api.services.event_feed import EventFeed
from api.services.event_streams import EventStreams, StreamPolicy
from api.services.generations import GenerationService
from api.services.image_copies import ImageCopies
from api.services.input_files import InputFileService
from api.services.key_budgets import KeyBudgets
from api.services.key_guard import KeyGuard
from api.services.key_watch import KeyWatch
from api.services.openai_images import ImageRequestService
from api.services.partial_images import PartialImageFeed
from api.services.progress import ProgressService, StageDurations
from api.services.rate_limiter import RateLimiter
from api.services.readiness import Readiness
from api.services.request_leases import RequestLeases
from api.services.sessions import Sessions
from api.services.state_gauges import StateGauges
from api.services.tenant_limits import TenantConcurrencyLimiter
from api.services.waiter import Waiter
from api.services.webhook_endpoints import WebhookEndpointService
from api.services.workflow_status import WorkflowStatus
from composition.batch_service import batch_service
from composition.deliveries import webhook_endpoint_service
from composition.operators import operator_services
from composition.providers import providers_that_list_jobs, providers_with_webhooks, webhook_readers
from composition.repositories import catalog, check_schema, database
from composition.settings import ServiceSettings, keyring, tenant_limits
from composition.storage import input_images, object_store
from composition.temporal import temporal_client, workflow_client
from domain.catalog import Catalog
from domain.ports import ObjectStore, WebhookReader, WorkflowClient
from domain.tenant import TenantLimits

# For each call to Temporal while a client waits for its response; what is not done then is done later.
_TEMPORAL_SECONDS = 1.0
# Of one tenant at once.
_MAX_LARGE_BODIES, _MAX_BODY_WAIT_SECONDS = 4, 30.0


class WorkflowEngine(WorkflowClient, Protocol):
    """Workflows from outside, for a process that also reports whether they can be reached."""

    async def healthy(self) -> bool: ...


@dataclass(frozen=True)
class _Base:
    """What several services share."""

    settings: ServiceSettings
    pool: Database
    store: S3Store
    workflows: WorkflowEngine
    models: Catalog
    generations: PostgresGenerations
    limits: TenantLimits
    key_budgets: KeyBudgets
    admission: Admission
    rate_limiter: RateLimiter
    feed: EventFeed
    watch: KeyWatch
    waiter: Waiter
    streams: EventStreams


@asynccontextmanager
async def api_services(
    settings: ServiceSettings, engine: WorkflowEngine | None = None
) -> AsyncIterator[Services]:
    """Open what is behind the routes. engine: another one than Temporal."""
    async with AsyncExitStack() as stack:
        pool, enter = database(settings), stack.enter_async_context
        stack.push_async_callback(pool.close)
        await check_schema(pool)
        store, http = await enter(object_store(settings)), await enter(provider_client())
        temporal = await temporal_client(settings, lazy=True)
        base = _base(settings, pool, store, engine or _temporal(settings, temporal))
        stack.callback(base.watch.close)
        stack.callback(base.feed.close)
        input_files = await enter(_input_file_service(settings, pool, store))
        accepting = _generation_service(base, input_files)
        yield _services(
            base,
            input_files,
            accepting,
            image_requests=await enter(_image_requests(base, accepting)),
            batches=_batches(base, temporal),
            webhook_readers=webhook_readers(settings, http),
            webhook_endpoints=await webhook_endpoint_service(settings, pool, base.limits),
        )


def _base(settings: ServiceSettings, pool: Database, store: S3Store, workflows: WorkflowEngine) -> _Base:
    generations, limits = PostgresGenerations(pool), tenant_limits(settings)
    feed = EventFeed(PostgresEventLog(pool), pause_seconds=settings.event_pause_seconds)
    budgets, watch = KeyBudgets(PostgresKeyLists(pool)), KeyWatch(PostgresKeyStates(pool))
    policy = StreamPolicy(settings.api_stream_seconds, settings.api_stream_heartbeat_seconds)
    return _Base(
        settings,
        pool,
        store,
        workflows,
        catalog(settings),
        generations,
        limits,
        budgets,
        Admission(PostgresTenantUsages(pool), limits, budgets),
        RateLimiter(limits),
        feed,
        watch,
        Waiter(feed, generations, watch),
        EventStreams(PostgresEventLog(pool), feed, watch, policy),
    )


def _services(
    base: _Base,
    input_files: InputFileService,
    accepting: GenerationService,
    *,
    image_requests: ImageRequestService,
    batches: BatchService,
    webhook_readers: Mapping[str, WebhookReader],
    webhook_endpoints: WebhookEndpointService,
) -> Services:
    settings, pool, models = base.settings, base.pool, base.models
    tenants, credits = PostgresTenants(pool), PostgresCreditAccounts(pool)
    durations = Durations(PostgresDurations(pool), models)
    return Services(
        catalog=models,
        generations=base.generations,
        input_files=PostgresInputFiles(pool),
        slots=PostgresProviderSlots(pool, {}),  # to read positions; only workers grant slots
        progress=ProgressService(PostgresProgressRecords(pool), StageDurations(durations, models)),
        input_file_service=input_files,
        batches=batches,
        credits=CreditService(credits, PostgresLots(pool), PostgresBooks(pool)),
        key_guard=KeyGuard(tenants, failures_per_minute=settings.api_failed_keys_per_minute),
        operators=operator_services(settings, pool),
        tenants=tenants,
        generation_service=accepting,
        image_requests=image_requests,
        estimates=Estimates(models, input_files, base.admission, durations),
        workflow_status=WorkflowStatus(base.workflows),
        event_log=PostgresEventLog(pool),
        event_feed=base.feed,
        event_streams=base.streams,
        waiter=base.waiter,
        store=base.store,
        image_copies=ImageCopies(base.store),
        partial_images=_partial_images(base),
        webhook_readers=webhook_readers,
        serializer=_serializer(settings, models),
        readiness=_readiness(base),
        state_gauges=StateGauges(PostgresInstallation(pool)),
        admission=base.admission,
        key_budgets=base.key_budgets,
        api_keys=ApiKeyService(PostgresManagedKeys(pool), base.limits),
        sessions=Sessions(PostgresApiKeys(pool), PostgresTenantUsages(pool), credits, base.limits),
        erasure=PostgresErasure(pool),
        rate_limiter=base.rate_limiter,
        large_bodies=TenantConcurrencyLimiter(_MAX_LARGE_BODIES, _MAX_BODY_WAIT_SECONDS),
        keyring=keyring(settings),
        webhook_endpoints=webhook_endpoints,
    )


def _batches(base: _Base, temporal: Client) -> BatchService:
    shared = (base.settings, base.pool, base.store, base.models, base.admission, base.rate_limiter)
    return batch_service(*shared, temporal, call_seconds=_TEMPORAL_SECONDS)


def _generation_service(base: _Base, input_files: InputFileService) -> GenerationService:
    return GenerationService(
        base.models,
        base.generations,
        input_files,
        PostgresInbox(base.pool),
        base.workflows,
        base.admission,
        base.rate_limiter,
        keyring(base.settings),
    )


def _partial_images(base: _Base) -> PartialImageFeed:
    return PartialImageFeed(base.streams, base.waiter, max_wait_seconds=base.settings.api_images_wait_seconds)


def _readiness(base: _Base) -> Readiness:
    is_healthy, has_temporal = base.pool.healthy, base.workflows.healthy
    checks = {"postgres": is_healthy, "temporal": has_temporal, "s3": base.store.bucket_exists}
    return Readiness(checks, essential="postgres")


@asynccontextmanager
async def _image_requests(base: _Base, accepting: GenerationService) -> AsyncIterator[ImageRequestService]:
    """Open what requests in OpenAI's form use; their leases are renewed for the block."""
    requests = PostgresImageRequests(base.pool)
    leases = RequestLeases(requests)
    running = asyncio.create_task(leases.run())
    try:
        yield ImageRequestService(
            accepting,
            requests,
            leases,
            base.waiter,
            base.rate_limiter,
            keyring(base.settings),
            max_wait_seconds=base.settings.api_images_wait_seconds,
        )
    finally:
        running.cancel()
        await asyncio.wait([running])


def _temporal(settings: ServiceSettings, client: Client) -> WorkflowEngine:
    """Return Temporal's workflows. It may be away: the client connects on its first call."""
    return workflow_client(
        settings,
        client,
        background_calls=settings.api_background_calls,
        call_seconds=_TEMPORAL_SECONDS,
    )


@asynccontextmanager
async def _input_file_service(
    settings: ServiceSettings, pool: Database, store: ObjectStore
) -> AsyncIterator[InputFileService]:
    async with input_images(settings) as images:
        yield InputFileService(
            PostgresInputFiles(pool),
            store,
            images.inspector,
            images.downloader,
            hosts=settings.input_hosts,
            max_bytes=settings.max_input_bytes,
            fetch_seconds=settings.input_timeout_seconds,
        )


def _serializer(settings: ServiceSettings, models: Catalog) -> GenerationSerializer:
    ui = None
    if settings.show_temporal_ui_links and settings.temporal_ui_url:
        ui = f"{settings.temporal_ui_url}/namespaces/{settings.temporal_namespace}/workflows"
    lifetime = timedelta(days=settings.image_link_days)
    decisions = SubmitDecisions(models, providers_with_webhooks(settings), providers_that_list_jobs())
    return GenerationSerializer(settings.public_url, keyring(settings), lifetime, ui, decisions)
