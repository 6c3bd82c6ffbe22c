"""The HTTP application on the real adapters."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import fields
from datetime import timedelta

from fastapi import FastAPI

from adapters.database.credits import PostgresCreditAccounts
from adapters.database.engine import Database
from adapters.database.erasure import PostgresErasure
from adapters.database.generations import PostgresGenerations
from adapters.database.inbox import PostgresInbox
from adapters.database.input_files import PostgresInputFiles
from adapters.database.provider_slots import PostgresProviderSlots
from adapters.database.provider_status import PostgresInstallation
from adapters.database.tenant_usage import PostgresTenantUsages
from adapters.database.tenants import PostgresTenants
from adapters.providers.http.client import provider_client
from api.app import BodyLimits, build_app
from api.deps import Services
from api.http.serializers import GenerationSerializer
from api.services.admission import Admission
from api.services.generations import GenerationService
from api.services.input_files import InputFileService
from api.services.rate_limiter import RateLimiter
from api.services.readiness import Readiness
from api.services.state_gauges import StateGauges
from api.services.tenant_limits import TenantConcurrencyLimiter
from api.services.workflow_status import WorkflowStatus
from composition.providers import webhook_readers
from composition.repositories import catalog, check_schema, database
from composition.settings import ServiceSettings, keyring
from composition.storage import input_images, object_store
from composition.temporal import temporal_client, workflow_client
from domain.ports import ObjectStore
from domain.tenant import TenantLimits

# For each call to Temporal while a client waits for its response; what is not done then is done later.
_TEMPORAL_SECONDS = 1.0
# Of one tenant at once.
_MAX_LARGE_BODIES, _MAX_BODY_WAIT_SECONDS = 4, 30.0


def create_app(settings: ServiceSettings) -> FastAPI:
    """Build the application; its services open when it starts."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with api_services(settings) as services:
            app.state.services = services
            yield

    return build_app(body_limits(settings), lifespan=lifespan)


def body_limits(settings: ServiceSettings) -> BodyLimits:
    return BodyLimits(settings.max_body_bytes, settings.max_input_bytes)


@asynccontextmanager
async def api_services(settings: ServiceSettings) -> AsyncIterator[Services]:
    """Open what is behind the routes. Temporal may be away: the client connects on its first call."""
    async with AsyncExitStack() as stack:
        pool = database(settings)
        stack.push_async_callback(pool.close)
        await check_schema(pool)
        store = await stack.enter_async_context(object_store(settings))
        http = await stack.enter_async_context(provider_client())
        temporal = await temporal_client(settings, lazy=True)
        workflows = workflow_client(
            settings,
            temporal,
            background_starts=settings.api_background_starts,
            call_seconds=_TEMPORAL_SECONDS,
        )
        models, generations = catalog(settings), PostgresGenerations(pool)
        limits = tenant_limits(settings)
        admission, rate_limiter = Admission(PostgresTenantUsages(pool), limits), RateLimiter(limits)
        input_files = await stack.enter_async_context(_input_file_service(settings, pool, store))
        yield Services(
            catalog=models,
            generations=generations,
            input_files=PostgresInputFiles(pool),
            slots=PostgresProviderSlots(pool, {}),  # to read positions; only workers grant slots
            input_file_service=input_files,
            credits=PostgresCreditAccounts(pool),
            authenticator=PostgresTenants(pool),
            generation_service=GenerationService(
                models, generations, input_files, PostgresInbox(pool), workflows, admission, rate_limiter
            ),
            workflow_status=WorkflowStatus(workflows),
            store=store,
            webhook_readers=webhook_readers(settings, http),
            serializer=_serializer(settings),
            readiness=Readiness(
                {"postgres": pool.healthy, "temporal": workflows.healthy, "s3": store.bucket_exists},
                essential="postgres",
            ),
            state_gauges=StateGauges(PostgresInstallation(pool)),
            admission=admission,
            erasure=PostgresErasure(pool),
            rate_limiter=rate_limiter,
            large_bodies=TenantConcurrencyLimiter(_MAX_LARGE_BODIES, _MAX_BODY_WAIT_SECONDS),
            keyring=keyring(settings),
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


def _serializer(settings: ServiceSettings) -> GenerationSerializer:
    ui = None
    if settings.show_temporal_ui_links and settings.temporal_ui_url:
        ui = f"{settings.temporal_ui_url}/namespaces/{settings.temporal_namespace}/workflows"
    lifetime = timedelta(days=settings.image_link_days)
    return GenerationSerializer(settings.public_url, keyring(settings), lifetime, ui)


def tenant_limits(settings: ServiceSettings) -> TenantLimits:
    """Return the limits of every tenant that has none of its own."""
    return TenantLimits(
        **{each.name: getattr(settings, f"tenant_{each.name}") for each in fields(TenantLimits)}
    )
