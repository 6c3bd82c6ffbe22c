"""The HTTP applications on the real adapters, and the servers that listen for them."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

from fastapi import FastAPI

from api.app import BodyLimits, build_app, build_internal_app
from api.http.load_limits import LoadLimits, RouteGroup
from api.server.addresses import TrustedProxies
from api.server.config import Server, ServerConfig
from api.server.connections import ConnectionLimits
from composition.api_services import WorkflowEngine, api_services
from composition.settings import ServiceSettings


@dataclass(frozen=True)
class ApiServers:
    """public: for clients and providers. internal: for operators' tools.

    stop_waiting: ends the streams, and the requests that wait for events.
    """

    public: Server
    internal: Server
    stop_waiting: Callable[[], None]


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
        public.serve(services)
        internal.state.services = services
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
    return BodyLimits(settings.max_body_bytes, settings.max_input_bytes, settings.max_batch_file_bytes)
