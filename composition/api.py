"""The HTTP applications on the real adapters, and the servers that listen for them."""

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, fields
from datetime import timedelta
from typing import Protocol

from fastapi import FastAPI

from adapters.database.api_keys import PostgresApiKeys
from adapters.database.credits import PostgresCreditAccounts
from adapters.database.durations import PostgresDurations
from adapters.database.engine import Database
from adapters.database.erasure import PostgresErasure
from adapters.database.events import PostgresEventLog
from adapters.database.generations import PostgresGenerations
from adapters.database.inbox import PostgresInbox
from adapters.database.input_files import PostgresInputFiles
from adapters.database.progress import PostgresProgressRecords
from adapters.database.provider_slots import PostgresProviderSlots
from adapters.database.provider_status import PostgresInstallation
from adapters.database.tenant_usage import PostgresTenantUsages
from adapters.database.tenants import PostgresTenants
from adapters.providers.http.client import provider_client
from adapters.storage.s3 import S3Store
from api.app import BodyLimits, build_app, build_internal_app
from api.deps import Services
from api.http.job_view import SubmitDecisions
from api.http.load_limits import LoadLimits, RouteGroup
from api.http.serializers import GenerationSerializer
from api.server.addresses import TrustedProxies
from api.server.config import Server, ServerConfig
from api.server.connections import ConnectionLimits
from api.services.admission import Admission
from api.services.durations import Durations
from api.services.estimates import Estimates
from api.services.event_feed import EventFeed
from api.services.event_streams import EventStreams, StreamPolicy
from api.services.generations import GenerationService
from api.services.image_copies import ImageCopies
from api.services.input_files import InputFileService
from api.services.key_guard import KeyGuard
from api.services.progress import ProgressService, StageDurations
from api.services.rate_limiter import RateLimiter
from api.services.readiness import Readiness
from api.services.sessions import Sessions
from api.services.state_gauges import StateGauges
from api.services.tenant_limits import TenantConcurrencyLimiter
from api.services.waiter import Waiter
from api.services.workflow_status import WorkflowStatus
from composition.deliveries import webhook_endpoint_service
from composition.providers import providers_that_list_jobs, providers_with_webhooks, webhook_readers
from composition.repositories import catalog, check_schema, database
from composition.settings import ServiceSettings, keyring
from composition.storage import input_images, object_store
from composition.temporal import temporal_client, workflow_client
from domain.catalog import Catalog
from domain.ports import ObjectStore, WorkflowClient
from domain.tenant import TenantLimits

# For each call to Temporal while a client waits for its response; what is not done then is done later.
_TEMPORAL_SECONDS = 1.0
# Of one tenant at once.
_MAX_LARGE_BODIES, _MAX_BODY_WAIT_SECONDS = 4, 30.0


@dataclass(frozen=True)
class ApiServers:
    """public: for clients and providers. internal: for operators' tools.

    stop_waiting: ends the streams, and the requests that wait for events.
    """

    public: Server
    internal: Server
    stop_waiting: Callable[[], None]


class WorkflowEngine(WorkflowClient, Protocol):
    """Workflows from outside, for a process that also reports whether they can be reached."""

    async def healthy(self) -> bool: ...


@asynccontextmanager
async def api_servers(
    settings: ServiceSettings, descriptors: int, engine: WorkflowEngine | None = None
) -> AsyncIterator[ApiServers]:
    """Open the services, and yield the servers of both ports, not yet started.

    descriptors: how many files and sockets the process may have open. engine: another one than Temporal.
    """
    limits, proxies = (
        _connection_limits(settings).within(descriptors),
        TrustedProxies(settings.trusted_proxies),
    )
    public = build_app(
        body_limits(settings),
        load=_load_limits(settings),
        public_paths=settings.api_public_paths,
        public_url=settings.public_url,
    )
    internal = build_internal_app(public)
    async with api_services(settings, engine) as services:
        public.state.services = internal.state.services = services
        yield ApiServers(
            _server(public, settings.api_host, settings.api_port, limits, proxies),
            _server(
                internal,
                settings.api_internal_host,
                settings.api_internal_port,
                limits.for_few_clients(),
                TrustedProxies(),
            ),
            services.event_feed.close,
        )


def _server(app: FastAPI, host: str, port: int, limits: ConnectionLimits, proxies: TrustedProxies) -> Server:
    return Server(ServerConfig(app, host=host, port=port, limits=limits, proxies=proxies))


def _connection_limits(settings: ServiceSettings) -> ConnectionLimits:
    return ConnectionLimits(
        max_connections=settings.api_max_connections,
        max_anonymous=settings.api_max_anonymous_connections,
        max_per_address=settings.api_max_connections_per_address,
        head_seconds=settings.api_head_timeout_seconds,
        write_seconds=settings.api_write_timeout_seconds,
    )


def _load_limits(settings: ServiceSettings) -> LoadLimits:
    return LoadLimits(
        {
            RouteGroup.API: settings.api_max_requests,
            RouteGroup.IMAGES: settings.api_max_image_requests,
            RouteGroup.UPLOADS: settings.api_max_upload_requests,
            RouteGroup.WEBHOOKS: settings.api_max_webhook_requests,
            RouteGroup.HEALTH: settings.api_max_health_requests,
            RouteGroup.OTHER: settings.api_max_other_requests,
            RouteGroup.WAITING: settings.api_max_waiting_requests,
        },
        max_running_per_tenant=settings.api_max_running_per_tenant,
        max_running_beside_others=settings.api_max_running_beside_others,
        rest_after_creates=settings.api_rest_after_creates,
        rest_after_calls=settings.api_rest_after_calls,
    )


def body_limits(settings: ServiceSettings) -> BodyLimits:
    return BodyLimits(settings.max_body_bytes, settings.max_input_bytes)


@asynccontextmanager
async def api_services(
    settings: ServiceSettings, engine: WorkflowEngine | None = None
) -> AsyncIterator[Services]:
    """Open what is behind the routes. engine: another one than Temporal."""
    async with AsyncExitStack() as stack:
        pool = database(settings)
        stack.push_async_callback(pool.close)
        await check_schema(pool)
        store = await stack.enter_async_context(object_store(settings))
        http = await stack.enter_async_context(provider_client())
        workflows = engine or await _temporal(settings)
        models, generations, tenants = catalog(settings), PostgresGenerations(pool), PostgresTenants(pool)
        limits = tenant_limits(settings)
        usages, credits = PostgresTenantUsages(pool), PostgresCreditAccounts(pool)
        admission, rate_limiter = Admission(usages, limits), RateLimiter(limits)
        durations, log = Durations(PostgresDurations(pool), models), PostgresEventLog(pool)
        feed = EventFeed(log, pause_seconds=settings.event_pause_seconds)
        stack.callback(feed.close)
        input_files = await stack.enter_async_context(_input_file_service(settings, pool, store))
        yield Services(
            catalog=models,
            generations=generations,
            input_files=PostgresInputFiles(pool),
            slots=PostgresProviderSlots(pool, {}),  # to read positions; only workers grant slots
            progress=ProgressService(PostgresProgressRecords(pool), StageDurations(durations, models)),
            input_file_service=input_files,
            credits=credits,
            key_guard=KeyGuard(tenants, failures_per_minute=settings.api_failed_keys_per_minute),
            tenants=tenants,
            generation_service=_generation_service(
                settings, pool, models, input_files, workflows, admission, rate_limiter
            ),
            estimates=Estimates(models, input_files, admission, durations),
            workflow_status=WorkflowStatus(workflows),
            event_log=log,
            event_feed=feed,
            event_streams=EventStreams(log, feed, _stream_policy(settings)),
            waiter=Waiter(feed, generations),
            store=store,
            image_copies=ImageCopies(store),
            webhook_readers=webhook_readers(settings, http),
            serializer=_serializer(settings, models),
            readiness=_readiness(pool, workflows, store),
            state_gauges=StateGauges(PostgresInstallation(pool)),
            admission=admission,
            sessions=Sessions(PostgresApiKeys(pool), usages, credits, limits),
            erasure=PostgresErasure(pool),
            rate_limiter=rate_limiter,
            large_bodies=TenantConcurrencyLimiter(_MAX_LARGE_BODIES, _MAX_BODY_WAIT_SECONDS),
            keyring=keyring(settings),
            webhook_endpoints=await webhook_endpoint_service(settings, pool, limits),
        )


def _generation_service(
    settings: ServiceSettings,
    pool: Database,
    models: Catalog,
    input_files: InputFileService,
    workflows: WorkflowEngine,
    admission: Admission,
    rate_limiter: RateLimiter,
) -> GenerationService:
    generations, inbox, keys = PostgresGenerations(pool), PostgresInbox(pool), keyring(settings)
    return GenerationService(
        models, generations, input_files, inbox, workflows, admission, rate_limiter, keys
    )


def _readiness(pool: Database, workflows: WorkflowEngine, store: S3Store) -> Readiness:
    looks = {"postgres": pool.healthy, "temporal": workflows.healthy, "s3": store.bucket_exists}
    return Readiness(looks, essential="postgres")


async def _temporal(settings: ServiceSettings) -> WorkflowEngine:
    """Return Temporal's workflows. It may be away: the client connects on its first call."""
    return workflow_client(
        settings,
        await temporal_client(settings, lazy=True),
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


def _stream_policy(settings: ServiceSettings) -> StreamPolicy:
    return StreamPolicy(settings.api_stream_seconds, settings.api_stream_heartbeat_seconds)


def _serializer(settings: ServiceSettings, models: Catalog) -> GenerationSerializer:
    ui = None
    if settings.show_temporal_ui_links and settings.temporal_ui_url:
        ui = f"{settings.temporal_ui_url}/namespaces/{settings.temporal_namespace}/workflows"
    lifetime = timedelta(days=settings.image_link_days)
    decisions = SubmitDecisions(models, providers_with_webhooks(settings), providers_that_list_jobs())
    return GenerationSerializer(settings.public_url, keyring(settings), lifetime, ui, decisions)


def tenant_limits(settings: ServiceSettings) -> TenantLimits:
    """Return the limits of every tenant that has none of its own."""
    return TenantLimits(
        **{each.name: getattr(settings, f"tenant_{each.name}") for each in fields(TenantLimits)}
    )
