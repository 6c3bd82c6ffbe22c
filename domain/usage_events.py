"""Usage events: what a billing system is told of each charge, in the form of CloudEvents 1.0.

A charge makes the same event each time that it is sent. So it has nothing that may be erased, such as a
prompt or a client's metadata, and its id is that of the charge's transfer.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

CHARGED_TYPE = "darkroom.generation.charged.v1"
BATCH_CONTENT_TYPE = "application/cloudevents-batch+json"
MAX_BATCH = 100


@dataclass(frozen=True)
class Charge:
    """A generation that was charged for.

    Attributes:
        position: Its place in the outbox; a charge that is sent again has a new one.
        transfer_id: What moved the credits: once for each generation.
        provider: That of the last attempt.
        api_key_id: None for jobs from before keys were noted.
        images: How many were delivered; none where an end without images is charged.
        promotional_credits: Of the charge; the others were paid for.
    """

    position: int
    transfer_id: str
    tenant_id: str
    charged_at: datetime
    generation_id: str
    model: str
    provider: str
    api_key_id: str | None
    images: int
    charged_credits: int
    promotional_credits: int


@dataclass(frozen=True)
class UsageBacklog:
    """What is not sent yet: how many charges, at most 10,000, and since when the oldest waits.

    failures: How often in a row the receiver did not take it.
    """

    unsent: int = 0
    oldest_seconds: float = 0.0
    failures: int = 0


def batch_body(charges: Sequence[Charge], source: str) -> bytes:
    """Return a batch of structured events as JSON. source: of all events of this installation."""
    return json.dumps([_event(charge, source) for charge in charges], separators=(",", ":")).encode()


def _event(charge: Charge, source: str) -> dict[str, Any]:
    return {
        "specversion": "1.0",
        "id": charge.transfer_id,
        "source": source,
        "type": CHARGED_TYPE,
        "subject": charge.tenant_id,
        "time": charge.charged_at.astimezone(UTC).isoformat().replace("+00:00", "Z"),
        "datacontenttype": "application/json",
        "data": {
            "generation_id": charge.generation_id,
            "model": charge.model,
            "provider": charge.provider,
            "api_key_id": charge.api_key_id,
            "images": charge.images,
            "charged_credits": charge.charged_credits,
            "paid_credits": charge.charged_credits - charge.promotional_credits,
            "promotional_credits": charge.promotional_credits,
        },
    }
