"""Webhook endpoints and deliveries as clients see them."""

from collections.abc import Sequence
from dataclasses import asdict

from api.http.schemas.webhooks import (
    DeliveryAttemptView,
    DeliveryDetailView,
    DeliveryView,
    JobSecretView,
    NewJobSecretView,
    NewWebhookEndpointView,
    WebhookEndpointView,
)
from domain.webhooks import Delivery, DeliveryAttempt, WebhookEndpoint, show_secret


def serialize_endpoint(endpoint: WebhookEndpoint) -> WebhookEndpointView:
    return WebhookEndpointView(
        id=endpoint.id,
        url=endpoint.url,
        description=endpoint.description,
        event_types=list(endpoint.event_types),
        secret_hint=endpoint.secret_hint,
        previous_secret_until=endpoint.previous_until,
        is_enabled=endpoint.is_enabled,
        disabled_reason=endpoint.disabled_reason,
        failing_since=endpoint.failing_since,
        created_at=endpoint.created_at,
    )


def serialize_new_endpoint(made: tuple[WebhookEndpoint, bytes]) -> NewWebhookEndpointView:
    endpoint, secret = made
    return NewWebhookEndpointView(**serialize_endpoint(endpoint).model_dump(), secret=show_secret(secret))


def serialize_job_secret(endpoint: WebhookEndpoint) -> JobSecretView:
    return JobSecretView(
        endpoint_id=endpoint.id,
        secret_hint=endpoint.secret_hint,
        created_at=endpoint.secret_created_at,
        previous_secret_until=endpoint.previous_until,
    )


def serialize_new_job_secret(made: tuple[WebhookEndpoint, bytes]) -> NewJobSecretView:
    endpoint, secret = made
    return NewJobSecretView(**serialize_job_secret(endpoint).model_dump(), secret=show_secret(secret))


def serialize_delivery(delivery: Delivery) -> DeliveryView:
    return DeliveryView(
        id=delivery.id,
        endpoint_id=delivery.endpoint_id,
        type=delivery.type,
        generation_id=delivery.generation_id,
        number=delivery.number,
        url=delivery.url,
        status=delivery.status,
        attempts=delivery.attempts,
        occurred_at=delivery.occurred_at,
        created_at=delivery.created_at,
        next_attempt_at=delivery.next_attempt_at,
        finished_at=delivery.finished_at,
    )


def serialize_delivery_detail(delivery: Delivery, attempts: Sequence[DeliveryAttempt]) -> DeliveryDetailView:
    return DeliveryDetailView(
        **serialize_delivery(delivery).model_dump(),
        facts=dict(delivery.data),
        log=[DeliveryAttemptView(**asdict(attempt)) for attempt in attempts],
    )
