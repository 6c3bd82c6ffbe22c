"""Deliveries of webhooks, and the secret that signs those of single jobs."""

from fastapi import APIRouter, status

from api.deps import CanManageWebhooks, CanReadWebhooks, CanSendWebhooks, DeliveryId, ServicesDep, actor_of
from api.http.declarations import declares
from api.http.schemas.webhooks import DeliveryDetailView, DeliveryView, JobSecretView, NewJobSecretView
from api.http.webhook_views import (
    serialize_delivery,
    serialize_delivery_detail,
    serialize_job_secret,
    serialize_new_job_secret,
)
from domain.errors import WebhookEndpointDisabled, WebhookEndpointNotFound

router = APIRouter(prefix="/v1", tags=["deliveries"])


@router.get("/deliveries/{delivery_id}")
async def get_delivery(
    delivery_id: DeliveryId, caller: CanReadWebhooks, services: ServicesDep
) -> DeliveryDetailView:
    """Get a delivery with its requests."""
    delivery, attempts = await services.webhook_endpoints.get_delivery(caller.tenant_id, delivery_id)
    return serialize_delivery_detail(delivery, attempts)


@router.post("/deliveries/{delivery_id}/resend", status_code=status.HTTP_202_ACCEPTED)
@declares(WebhookEndpointDisabled)
async def resend_delivery(
    delivery_id: DeliveryId, caller: CanSendWebhooks, services: ServicesDep
) -> DeliveryView:
    """Send it again, now: with the whole schedule if it had ended, else by its next attempt."""
    return serialize_delivery(await services.webhook_endpoints.resend(caller.tenant_id, delivery_id))


@router.get("/webhook-secret")
@declares(WebhookEndpointNotFound)
async def get_webhook_secret(caller: CanReadWebhooks, services: ServicesDep) -> JobSecretView:
    """Get what is known of the secret of single jobs. 404 before there is one."""
    return serialize_job_secret(await services.webhook_endpoints.find_job_endpoint(caller.tenant_id))


@router.post("/webhook-secret/rotate")
async def rotate_webhook_secret(caller: CanManageWebhooks, services: ServicesDep) -> NewJobSecretView:
    """Make a new secret for single jobs, or the first. The one before signs too, for 24 hours."""
    return serialize_new_job_secret(
        await services.webhook_endpoints.rotate_job_secret(caller.tenant_id, by=actor_of(caller))
    )
