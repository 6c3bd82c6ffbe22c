"""Webhook endpoints: where a tenant's events go."""

from typing import Annotated

from fastapi import APIRouter, Query, status

from api.deps import (
    CanManageWebhooks,
    CanReadWebhooks,
    CanSendWebhooks,
    ServicesDep,
    WebhookEndpointId,
    actor_of,
)
from api.http.declarations import declares
from api.http.pagination import DELIVERY_CURSOR, delivery_cursor, read_delivery_cursor
from api.http.schemas.webhooks import (
    DeliveryPage,
    DeliveryView,
    NewWebhookEndpointView,
    ResendRequest,
    ResentView,
    WebhookEndpointChange,
    WebhookEndpointCreate,
    WebhookEndpointList,
    WebhookEndpointView,
)
from api.http.webhook_views import serialize_delivery, serialize_endpoint, serialize_new_endpoint
from domain.errors import TooManyWebhookEndpoints, WebhookEndpointDisabled
from domain.ports.webhooks import Page
from domain.webhooks import DeliveryStatus

router = APIRouter(prefix="/v1/webhook-endpoints", tags=["deliveries"])


@router.post("", status_code=status.HTTP_201_CREATED)
@declares(TooManyWebhookEndpoints)
async def create_webhook_endpoint(
    body: WebhookEndpointCreate, caller: CanSendWebhooks, services: ServicesDep
) -> NewWebhookEndpointView:
    """Make an endpoint. Its secret is in this response, and never again."""
    return serialize_new_endpoint(
        await services.webhook_endpoints.add(
            caller, body.url, body.description, body.event_types, by=actor_of(caller)
        )
    )


@router.get("")
async def list_webhook_endpoints(caller: CanReadWebhooks, services: ServicesDep) -> WebhookEndpointList:
    """List all endpoints, the oldest first."""
    found = await services.webhook_endpoints.list_all(caller.tenant_id)
    return WebhookEndpointList(data=[serialize_endpoint(endpoint) for endpoint in found])


@router.get("/{endpoint_id}")
async def get_webhook_endpoint(
    endpoint_id: WebhookEndpointId, caller: CanReadWebhooks, services: ServicesDep
) -> WebhookEndpointView:
    """Get an endpoint, without its secret."""
    return serialize_endpoint(await services.webhook_endpoints.get(caller.tenant_id, endpoint_id))


@router.patch("/{endpoint_id}")
async def change_webhook_endpoint(
    endpoint_id: WebhookEndpointId,
    body: WebhookEndpointChange,
    caller: CanManageWebhooks,
    services: ServicesDep,
) -> WebhookEndpointView:
    """Change some of it. What is on its way goes to the new address."""
    changes = body.model_dump(exclude_none=True)
    return serialize_endpoint(
        await services.webhook_endpoints.change(caller.tenant_id, endpoint_id, changes, by=actor_of(caller))
    )


@router.delete("/{endpoint_id}", status_code=status.HTTP_204_NO_CONTENT)
async def delete_webhook_endpoint(
    endpoint_id: WebhookEndpointId, caller: CanManageWebhooks, services: ServicesDep
) -> None:
    """Delete an endpoint, and end what is on its way to it."""
    await services.webhook_endpoints.delete(caller.tenant_id, endpoint_id, by=actor_of(caller))


@router.post("/{endpoint_id}/rotate-secret")
async def rotate_webhook_endpoint_secret(
    endpoint_id: WebhookEndpointId, caller: CanManageWebhooks, services: ServicesDep
) -> NewWebhookEndpointView:
    """Make a new secret. For 24 hours every webhook has two signatures, of the new one and the one before."""
    return serialize_new_endpoint(
        await services.webhook_endpoints.rotate_secret(caller.tenant_id, endpoint_id, by=actor_of(caller))
    )


@router.post("/{endpoint_id}/enable")
async def enable_webhook_endpoint(
    endpoint_id: WebhookEndpointId, caller: CanManageWebhooks, services: ServicesDep
) -> WebhookEndpointView:
    """Let it get events again. What it missed is sent by `resend`."""
    return serialize_endpoint(
        await services.webhook_endpoints.change(
            caller.tenant_id, endpoint_id, {"is_enabled": True}, by=actor_of(caller)
        )
    )


@router.post("/{endpoint_id}/ping", status_code=status.HTTP_202_ACCEPTED)
@declares(WebhookEndpointDisabled)
async def ping_webhook_endpoint(
    endpoint_id: WebhookEndpointId, caller: CanSendWebhooks, services: ServicesDep
) -> DeliveryView:
    """Send `webhook_endpoint.ping`, signed and tried again like any other."""
    return serialize_delivery(await services.webhook_endpoints.ping(caller.tenant_id, endpoint_id))


@router.post("/{endpoint_id}/resend", status_code=status.HTTP_202_ACCEPTED)
@declares(WebhookEndpointDisabled)
async def resend_webhooks(
    endpoint_id: WebhookEndpointId, body: ResendRequest, caller: CanSendWebhooks, services: ServicesDep
) -> ResentView:
    """Send what the endpoint missed since a moment. Safe to repeat, and repeated until `is_complete`."""
    resent = await services.webhook_endpoints.resend_since(caller.tenant_id, endpoint_id, body.since)
    return ResentView(started=resent.started, is_complete=resent.is_complete)


@router.get("/{endpoint_id}/deliveries")
async def list_deliveries(
    endpoint_id: WebhookEndpointId,
    caller: CanReadWebhooks,
    services: ServicesDep,
    status_is: Annotated[DeliveryStatus | None, Query(alias="status")] = None,
    generation_id: Annotated[str | None, Query(max_length=100, pattern="^[!-~]*$")] = None,
    cursor: Annotated[str | None, Query(max_length=200, json_schema_extra=DELIVERY_CURSOR)] = None,
    limit: Annotated[int, Query(ge=1, le=100)] = 20,
) -> DeliveryPage:
    """List an endpoint's deliveries, newest first."""
    found = await services.webhook_endpoints.list_deliveries(
        caller.tenant_id,
        endpoint_id,
        status=status_is,
        generation_id=generation_id,
        after=read_delivery_cursor(cursor),
        limit=limit + 1,
    )
    page = found[:limit]
    return DeliveryPage(
        data=[serialize_delivery(delivery) for delivery in page],
        next_cursor=delivery_cursor(Page(page[-1].created_at, page[-1].id)) if len(found) > limit else None,
    )
