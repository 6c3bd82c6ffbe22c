"""What a webhook carries: the event, and the generation that it tells of.

The same event makes the same bytes at every attempt: what may have changed since is left out, and links
expire by the time of the event. Only what was erased meanwhile is missing.
"""

import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from domain.events import TERMINAL_TYPES
from domain.generation import Generation, Image
from domain.webhooks import Delivery

MAX_BODY_BYTES = 20_000
# Makes the address of an image, with a signature that counts from this moment.
ImageLink = Callable[[Generation, Image, datetime], str]


def webhook_body(
    delivery: Delivery, generation: Generation | None, public_url: str, image_link: ImageLink
) -> bytes:
    """Return the body of a delivery, below 20 kB. generation: None where the event is of a tenant only."""
    data: dict[str, Any] = {
        "event_id": str(delivery.event_id) if delivery.event_id is not None else None,
        "generation_id": delivery.generation_id,
        "number": delivery.number,
        "facts": dict(delivery.data),
    }
    if delivery.generation_id is None:
        # A billing system may listen for many tenants.
        data["tenant_id"] = delivery.tenant_id
    if generation is not None:
        data["generation"] = _generation(delivery, generation, public_url, image_link)
    body = _encoded(delivery, data)
    if len(body) >= MAX_BODY_BYTES and generation is not None:
        # Only a client's own metadata can be so large; it is in the generation.
        data["generation"]["metadata"] = {}
        body = _encoded(delivery, data)
    return body


def _encoded(delivery: Delivery, data: Mapping[str, Any]) -> bytes:
    body = {"type": delivery.type, "timestamp": _moment(delivery.occurred_at), "data": data}
    return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()


def _generation(
    delivery: Delivery, generation: Generation, public_url: str, image_link: ImageLink
) -> dict[str, Any]:
    """Return the generation without prompt and inputs; before its end, only what never changes."""
    url = f"{public_url}/v1/generations/{generation.id}"
    lasting = {
        "id": generation.id,
        "model": generation.request.model,
        "metadata": dict(generation.request.metadata),
        "created_at": _moment(generation.created_at),
        "urls": {"self": url},
    }
    if delivery.type not in TERMINAL_TYPES:
        return lasting
    images = generation.images if generation.images_erased_at is None else ()
    return lasting | {
        "status": generation.status,
        "stage": generation.stage,
        "images": [_image(delivery, generation, image, image_link) for image in images],
        "undelivered": [{"index": each.index, "code": each.code} for each in generation.undelivered],
        "cost": {
            "estimated": generation.request.price_credits,
            "reserved": generation.held_credits,
            "charged": generation.charged_credits,
            "refunded": generation.refunded_credits,
            "cancel_after_submit": generation.request.charging.cancel_after_submit,
            "moderation": generation.request.charging.moderation,
        },
        "error": _error(generation),
        "canceled_by": generation.canceled_by,
        "queued_at": _moment(generation.queued_at),
        "processing_at": _moment(generation.processing_at),
        "finished_at": _moment(generation.finished_at),
    }


def _image(delivery: Delivery, generation: Generation, image: Image, image_link: ImageLink) -> dict[str, Any]:
    return {
        "index": image.index,
        "url": image_link(generation, image, delivery.occurred_at),
        "width": image.width,
        "height": image.height,
        "content_type": image.content_type,
        "size_bytes": image.size_bytes,
        "sha256": image.sha256,
        "source_sha256": image.source_sha256,
    }


def _error(generation: Generation) -> dict[str, Any] | None:
    error = generation.error
    if error is None:
        return None
    return {
        "code": error.code,
        "message": error.message,
        "stage": error.stage,
        "retryable": error.retryable,
        "charged": generation.charged_credits > 0,
    }


def _moment(moment: datetime | None) -> str | None:
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z") if moment is not None else None
