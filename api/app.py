"""The HTTP application: the only module here that picks adapters and reads settings."""

from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta

from fastapi import FastAPI

import composition
from adapters.database.credits import PostgresCreditAccounts
from adapters.database.engine import Database
from adapters.database.generations import PostgresGenerations
from adapters.database.inbox import PostgresInbox
from adapters.database.input_files import PostgresInputFiles
from adapters.database.provider_slots import PostgresProviderSlots
from adapters.database.tenants import PostgresTenants
from adapters.providers.client import provider_client
from adapters.storage.address_guard import guarded_pool
from adapters.storage.download import GuardedDownloader
from adapters.storage.image_inspector import PillowInspector
from adapters.temporal import TemporalWorkflowClient, connect
from api import problems
from api.bodies import CappedBodies
from api.deps import Parts
from api.inputs import InputImages
from api.intake import Intake
from api.live import LiveViews
from api.metrics import Measured
from api.readiness import Readiness
from api.routes import credits, files, generations, health, images, models, webhooks
from api.views import Views
from domain.ports import ObjectStore
from settings import Settings

_DECODING_THREADS = 2
# What multipart puts around a file.
_AROUND_A_FILE_BYTES = 10_000
# Providers report addresses of images, not images.
_LARGEST_WEBHOOK_BYTES = 2_000_000
_BODY_WITHIN_SECONDS = 60.0


def create_app(settings: Settings) -> FastAPI:
    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with real_parts(settings) as parts:
            app.state.parts = parts
            yield

    return build_app(settings, lifespan=lifespan)


def build_app(settings: Settings, **arguments: object) -> FastAPI:
    """The routes and what surrounds them, on whatever `app.state.parts` will be."""
    app = FastAPI(
        title="Darkroom",
        summary="AI image generation as a durable workflow.",
        **arguments,  # type: ignore[arg-type]  # FastAPI types each of its keywords apart
    )
    for routes in (generations, images, files, models, credits, webhooks, health):
        app.include_router(routes.router)
    problems.install(app)
    caps = {
        files.router.prefix: settings.max_input_bytes + _AROUND_A_FILE_BYTES,
        webhooks.router.prefix: min(settings.max_body_bytes, _LARGEST_WEBHOOK_BYTES),
    }
    app.add_middleware(
        CappedBodies,
        max_bytes=settings.max_body_bytes,
        by_prefix=caps,
        whole_within_seconds=_BODY_WITHIN_SECONDS,
    )
    app.add_middleware(Measured)
    return app


@asynccontextmanager
async def real_parts(settings: Settings) -> AsyncIterator[Parts]:
    """The routes' parts on the real adapters. Temporal may be away: the client connects when first used."""
    async with AsyncExitStack() as stack:
        database = composition.database(settings)
        stack.push_async_callback(database.close)
        store = await stack.enter_async_context(composition.object_store(settings))
        http = await stack.enter_async_context(provider_client())
        client = await connect(composition.temporal_address(settings), lazy=True)
        task_timeout = timedelta(seconds=settings.workflow_task_timeout_seconds)
        runs = TemporalWorkflowClient(client, task_timeout=task_timeout)
        catalog, rows = composition.catalog(settings), PostgresGenerations(database)
        inputs = await stack.enter_async_context(_inputs(settings, database, store))
        yield Parts(
            catalog=catalog,
            generations=rows,
            files=PostgresInputFiles(database),
            gate=PostgresProviderSlots(database, {}),  # to look at; only workers hand out places
            inputs=inputs,
            credits=PostgresCreditAccounts(database),
            authenticator=PostgresTenants(database),
            intake=Intake(catalog, rows, inputs, PostgresInbox(database), runs),
            live=LiveViews(runs),
            store=store,
            readers=composition.webhook_readers(settings, http),
            views=_views(settings),
            readiness=Readiness(
                {"postgres": database.healthy, "temporal": runs.healthy, "s3": store.bucket_exists},
                essential="postgres",
            ),
            master_key=settings.master_key.get_secret_value(),
        )


@asynccontextmanager
async def _inputs(settings: Settings, database: Database, store: ObjectStore) -> AsyncIterator[InputImages]:
    """What brings clients' images in. Its way out opens nothing that only results may come from."""
    async with AsyncExitStack() as stack:
        pool = await stack.enter_async_context(guarded_pool(settings.input_hosts))
        threads = stack.enter_context(ThreadPoolExecutor(_DECODING_THREADS, thread_name_prefix="decode"))
        downloader = GuardedDownloader(
            pool,
            max_bytes=settings.max_input_bytes,
            total_seconds=settings.input_timeout_seconds,
        )
        yield InputImages(
            PostgresInputFiles(database),
            store,
            PillowInspector(threads, max_pixels=settings.max_image_pixels),
            downloader,
            hosts=settings.input_hosts,
            max_bytes=settings.max_input_bytes,
            fetch_seconds=settings.input_timeout_seconds,
        )


def _views(settings: Settings) -> Views:
    ui = None
    if settings.show_temporal_ui_links and settings.temporal_ui_url:
        base = settings.temporal_ui_url.rstrip("/")
        ui = f"{base}/namespaces/{settings.temporal_namespace}/workflows"
    return Views(settings.public_url.rstrip("/"), settings.master_key.get_secret_value(), ui)
