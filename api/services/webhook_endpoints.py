"""Webhook endpoints and deliveries, as their tenant manages them."""

import logging
from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime

from domain.audit import Actor
from domain.auth import Caller
from domain.errors import InvalidInput, TemporalUnavailable, WebhookEndpointNotFound
from domain.ports.webhooks import DeliveryLog, DeliveryWorkflows, Page, Resent, WebhookEndpoints
from domain.tenant import TenantLimits
from domain.webhook_urls import CANNOT_SIGN, check_webhook_url
from domain.webhooks import (
    SUBSCRIBABLE_TYPES,
    Delivery,
    DeliveryAttempt,
    DeliveryStatus,
    WebhookEndpoint,
)

_log = logging.getLogger("darkroom.api")
_MAX_LISTED = 1000
_MAX_WAKES = 100
_MAX_RESENT = 1000
_FIRST, _LAST = datetime(2000, 1, 1, tzinfo=UTC), datetime(9000, 1, 1, tzinfo=UTC)


class WebhookEndpointService:
    """What the routes of webhooks do. Raises WebhookEndpointNotFound and DeliveryNotFound.

    origins: `scheme://host:port` of receivers that may be private or http.
    """

    def __init__(
        self,
        endpoints: WebhookEndpoints,
        log: DeliveryLog,
        workflows: DeliveryWorkflows,
        limits: TenantLimits,
        origins: Collection[str],
    ) -> None:
        self._endpoints = endpoints
        self._log = log
        self._workflows = workflows
        self._limits = limits
        self._origins = origins

    async def add(
        self, caller: Caller, url: str, description: str, event_types: Sequence[str], *, by: Actor
    ) -> tuple[WebhookEndpoint, bytes]:
        """Raises InvalidInput, TooManyWebhookEndpoints."""
        check_webhook_url(url, self._origins, field="url")
        check_event_types(event_types, field="event_types")
        limits = self._limits.with_overrides(caller.tenant_limits)
        return await self._endpoints.add_endpoint(
            caller.tenant_id, url, description, event_types, max_endpoints=limits.max_webhook_endpoints, by=by
        )

    async def get(self, tenant_id: str, endpoint_id: str) -> WebhookEndpoint:
        return await self._endpoints.get_endpoint(tenant_id, endpoint_id)

    async def list_all(self, tenant_id: str) -> Sequence[WebhookEndpoint]:
        return await self._endpoints.list_endpoints(tenant_id, _MAX_LISTED)

    async def change(
        self, tenant_id: str, endpoint_id: str, changes: Mapping[str, object], *, by: Actor
    ) -> WebhookEndpoint:
        """Raises InvalidInput."""
        if "url" in changes:
            check_webhook_url(str(changes["url"]), self._origins, field="url")
        if isinstance(types := changes.get("event_types"), list):
            check_event_types(types, field="event_types")
        return await self._endpoints.change_endpoint(tenant_id, endpoint_id, changes, by=by)

    async def delete(self, tenant_id: str, endpoint_id: str, *, by: Actor) -> None:
        """Delete it, and end what is on its way to it."""
        canceled = await self._endpoints.delete_endpoint(tenant_id, endpoint_id, _MAX_WAKES, by=by)
        for workflow_id in canceled:
            await self._wake(workflow_id)

    async def rotate_secret(
        self, tenant_id: str, endpoint_id: str, *, by: Actor
    ) -> tuple[WebhookEndpoint, bytes]:
        return await self._endpoints.rotate_secret(tenant_id, endpoint_id, by=by)

    async def find_job_endpoint(self, tenant_id: str) -> WebhookEndpoint:
        endpoint = await self._endpoints.find_job_endpoint(tenant_id)
        if endpoint is None:
            raise WebhookEndpointNotFound
        return endpoint

    async def rotate_job_secret(self, tenant_id: str, *, by: Actor) -> tuple[WebhookEndpoint, bytes]:
        return await self._endpoints.rotate_job_secret(tenant_id, by=by)

    async def check_job_webhook(
        self, tenant_id: str, url: str | None, event_types: Sequence[str] | None
    ) -> None:
        """Check what one job says of its webhook. Raises InvalidInput."""
        if url is None:
            if event_types:
                raise InvalidInput(errors=(("webhook_events", "only together with webhook_url"),))
            return
        check_webhook_url(url, self._origins, field="webhook_url")
        check_event_types(event_types or (), field="webhook_events")
        if await self._endpoints.find_job_endpoint(tenant_id) is None:
            raise InvalidInput(errors=(("webhook_url", CANNOT_SIGN),))

    async def ping(self, tenant_id: str, endpoint_id: str) -> Delivery:
        """Raises WebhookEndpointDisabled."""
        endpoint = await self._endpoints.get_endpoint(tenant_id, endpoint_id)
        if endpoint.url is None:
            raise WebhookEndpointNotFound
        return await self._log.add_ping(endpoint)

    async def list_deliveries(
        self,
        tenant_id: str,
        endpoint_id: str,
        *,
        status: DeliveryStatus | None,
        generation_id: str | None,
        after: Page | None,
        limit: int,
    ) -> Sequence[Delivery]:
        endpoint = await self._endpoints.get_endpoint(tenant_id, endpoint_id)
        return await self._log.list_deliveries(
            endpoint, status=status, generation_id=generation_id, after=after, limit=limit
        )

    async def get_delivery(
        self, tenant_id: str, delivery_id: str
    ) -> tuple[Delivery, Sequence[DeliveryAttempt]]:
        return await self._log.get_delivery_of(tenant_id, delivery_id)

    async def resend(self, tenant_id: str, delivery_id: str) -> Delivery:
        """Raises WebhookEndpointDisabled."""
        delivery, workflow_id = await self._log.resend_delivery(tenant_id, delivery_id)
        if workflow_id is not None:
            await self._wake(workflow_id)
        return delivery

    async def resend_since(self, tenant_id: str, endpoint_id: str, since: datetime) -> Resent:
        """Raises WebhookEndpointDisabled."""
        # At the ends of time a moment has no equal in another time zone, and the database would fail on it.
        if not _FIRST.year <= since.year < _LAST.year:
            since = _FIRST if since.year < _FIRST.year else _LAST
        endpoint = await self._endpoints.get_endpoint(tenant_id, endpoint_id)
        return await self._log.resend_since(endpoint, since, _MAX_RESENT)

    async def _wake(self, workflow_id: str) -> None:
        try:
            await self._workflows.wake_delivery(workflow_id)
        except TemporalUnavailable:
            _log.warning("Temporal is away; %s looks again when its next attempt is due", workflow_id)


def check_event_types(types: Sequence[str], *, field: str) -> None:
    """Raises InvalidInput."""
    if not set(types) <= set(SUBSCRIBABLE_TYPES):
        raise InvalidInput(errors=((field, f"each one of {', '.join(SUBSCRIBABLE_TYPES)}"),))
