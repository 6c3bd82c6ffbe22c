"""Examples of webhook endpoints and deliveries in the description of the API."""

from collections.abc import Mapping
from typing import Any

ENDPOINT_ID = "whe_01a219aecf35b7e22b9ce5e4e2a099dc"
DELIVERY_ID = "msg_01a219b35d6a41c09e7f2b8d3c5a6e71"
_GENERATION_ID = "gen_01a219b34dc62c1c11e4f67917192003"
_CREATED_AT = "2026-11-26T20:10:31.207Z"
_SECRET = {"secret": "whsec_K3v9wqQ0mXh1tY7cR2sJ5uN8pL4fA6dE0gB1iO3kZ9s="}  # not a secret: an example
_ENDPOINT: Mapping[str, Any] = {
    "id": ENDPOINT_ID,
    "url": "https://example.com/darkroom",
    "description": "orders",
    "event_types": ["generation.completed", "generation.failed"],
    "secret_hint": "kZ9s",
    "previous_secret_until": None,
    "is_enabled": True,
    "disabled_reason": None,
    "failing_since": None,
    "created_at": _CREATED_AT,
}
_JOB_SECRET = {
    "endpoint_id": "whe_01a219af0b7c5d1e9a3f6c2b8d4e7f90",
    "secret_hint": "kZ9s",
    "created_at": _CREATED_AT,
    "previous_secret_until": None,
}
_DELIVERY: Mapping[str, Any] = {
    "id": DELIVERY_ID,
    "endpoint_id": ENDPOINT_ID,
    "type": "generation.completed",
    "generation_id": _GENERATION_ID,
    "number": 9,
    "url": None,
    "status": "succeeded",
    "attempts": 1,
    "occurred_at": "2026-11-26T20:15:06.102Z",
    "created_at": "2026-11-26T20:15:06.180Z",
    "next_attempt_at": None,
    "finished_at": "2026-11-26T20:15:06.391Z",
}
_ATTEMPT = {
    "number": 1,
    "at": "2026-11-26T20:15:06.391Z",
    "response_status": 204,
    "duration_ms": 87,
    "error_code": None,
    "excerpt": "",
}
PARAMETERS: Mapping[str, Any] = {
    "endpoint_id": ENDPOINT_ID,
    "delivery_id": DELIVERY_ID,
    "list_deliveries status": "succeeded",
    # Of another endpoint than the example's, it would find nothing.
    "list_deliveries generation_id": None,
}
BODIES: Mapping[str, Mapping[str, Any]] = {
    "create_webhook_endpoint": {
        "ends": {"url": "https://example.com/darkroom"},
        "some_types": {
            "url": "https://example.com/darkroom",
            "description": "orders",
            "event_types": ["generation.completed", "generation.failed"],
        },
    },
    "change_webhook_endpoint": {"its_types": {"event_types": ["generation.completed"]}},
    "resend_webhooks": {"since_a_moment": {"since": "2026-01-15T12:00:00Z"}},
}
VIEWS: Mapping[str, Any] = {
    "WebhookEndpointView": _ENDPOINT,
    "WebhookEndpointList": {"data": [_ENDPOINT]},
    "NewWebhookEndpointView": {**_ENDPOINT, **_SECRET},
    "JobSecretView": _JOB_SECRET,
    "NewJobSecretView": {**_JOB_SECRET, **_SECRET},
    "DeliveryView": _DELIVERY,
    "DeliveryPage": {"data": [_DELIVERY], "next_cursor": None},
    "DeliveryDetailView": {
        **_DELIVERY,
        "facts": {"status": "completed", "stage": "completed"},
        "log": [_ATTEMPT],
    },
    "ResentView": {"started": 12, "is_complete": True},
}
