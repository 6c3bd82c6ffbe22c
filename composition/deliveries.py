"""Webhooks to clients: what makes, sends and shows deliveries, on the real adapters."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from math import ceil

from temporalio.client import Client

from activities.deliveries import BodyBuilder, DeliveryActivities, DeliveryPolicy
from activities.dispatcher import Dispatcher
from adapters.database.deliveries import PostgresDeliveries
from adapters.database.delivery_log import PostgresDeliveryLog
from adapters.database.engine import Database
from adapters.database.generations import PostgresGenerations
from adapters.database.sealed import Sealer
from adapters.database.webhook_endpoints import PostgresWebhookEndpoints
from adapters.temporal_deliveries import TemporalDeliveries
from adapters.webhook_sender import GuardedWebhookSender, webhook_pool
from api.services.webhook_endpoints import WebhookEndpointService
from composition.settings import ServiceSettings, keyring
from composition.temporal import temporal_client
from domain.generation import Generation, Image
from domain.keyring import Keyring
from domain.tenant import TenantLimits
from domain.url_signatures import image_link_expiry, image_signature
from domain.webhook_bodies import webhook_body
from domain.webhooks import Delivery

# While a client waits for its response.
_API_CALL_SECONDS = 1.0
_RESEALED_AT_ONCE = 200


@asynccontextmanager
async def delivery_activities(
    settings: ServiceSettings, database: Database
) -> AsyncIterator[DeliveryActivities]:
    """Open what sends webhooks, on connections of its own."""
    timeout_seconds, origins = settings.delivery_timeout_seconds, settings.delivery_origins
    async with webhook_pool(origins, timeout_seconds, tls=ssl.create_default_context()) as pool:
        yield DeliveryActivities(
            deliveries(settings, database),
            PostgresGenerations(database),
            GuardedWebhookSender(pool, origins, timeout_seconds=timeout_seconds),
            body_builder(settings),
            DeliveryPolicy(
                disable_after=timedelta(days=settings.endpoint_disable_after_days),
                slow_down_seconds=settings.delivery_slow_down_seconds,
            ),
        )


@asynccontextmanager
async def dispatching(settings: ServiceSettings, database: Database, client: Client) -> AsyncIterator[None]:
    """Make and start deliveries while the block runs."""
    keeps = settings.retain_deliveries_days
    dispatcher = Dispatcher(
        deliveries(settings, database),
        _workflows(settings, client),
        keeps=timedelta(days=keeps) if keeps is not None else None,
    )
    stop = asyncio.Event()
    running = asyncio.create_task(dispatcher.run(stop))
    try:
        yield
    finally:
        stop.set()
        await running


def deliveries(settings: ServiceSettings, database: Database) -> PostgresDeliveries:
    return PostgresDeliveries(database, Sealer(keyring(settings)), settings.delivery_schedule_seconds)


def webhook_endpoints(keys: Keyring, database: Database) -> PostgresWebhookEndpoints:
    return PostgresWebhookEndpoints(database, Sealer(keys))


async def reseal_secrets(keys: Keyring, database: Database) -> int:
    """Seal every secret under the master key that signs; return how many were not. Safe to repeat."""
    endpoints, total = webhook_endpoints(keys, database), 0
    while count := await endpoints.reseal_secrets(_RESEALED_AT_ONCE):
        total += count
    return total


async def webhook_endpoint_service(
    settings: ServiceSettings, database: Database, limits: TenantLimits
) -> WebhookEndpointService:
    """Return what is behind the routes. Temporal may be away."""
    client = await temporal_client(settings, lazy=True)
    return WebhookEndpointService(
        webhook_endpoints(keyring(settings), database),
        PostgresDeliveryLog(database),
        _workflows(settings, client, call_seconds=_API_CALL_SECONDS),
        limits,
        settings.delivery_origins,
    )


def body_builder(settings: ServiceSettings) -> BodyBuilder:
    """Return what writes the bodies, with links that open images as those of the API do."""
    keys, lifetime = keyring(settings), timedelta(days=settings.image_link_days)

    def image_link(generation: Generation, image: Image, moment: datetime) -> str:
        expires_at = image_link_expiry(moment, lifetime)
        if generation.images_expire_at is not None:
            expires_at = min(expires_at, ceil(generation.images_expire_at.timestamp()))
        signature = image_signature(keys, generation.id, image.index, expires_at)
        url = f"{settings.public_url}/v1/generations/{generation.id}/images/{image.index}"
        return f"{url}?signature={signature}"

    def build(delivery: Delivery, generation: Generation | None) -> bytes:
        return webhook_body(delivery, generation, settings.public_url, image_link)

    return build


def _workflows(settings: ServiceSettings, client: Client, *, call_seconds: float = 3.0) -> TemporalDeliveries:
    task_timeout = timedelta(seconds=settings.workflow_task_timeout_seconds)
    return TemporalDeliveries(client, task_timeout=task_timeout, call_seconds=call_seconds)
