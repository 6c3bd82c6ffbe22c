"""Between the columns of a generation and what its client said of it."""

from dataclasses import asdict
from typing import Any

from sqlalchemy import Row

from adapters.database.tables.generations import GenerationRow
from domain.controls import CanceledBy, Controls, Priority
from domain.generation import Status


def to_controls(row: GenerationRow | Row[Any]) -> Controls:
    return Controls(
        cancel_after_seconds=row.cancel_after_seconds,
        start_within_seconds=row.start_within_seconds,
        image_lifetime_seconds=row.image_lifetime_seconds,
        keeps_prompt=row.keeps_prompt,
        priority=Priority(row.priority),
        webhook_url=row.webhook_url,
        webhook_events=tuple(row.webhook_events),
        retry_of=row.retry_of,
        api_key_id=row.api_key_id,
    )


def control_values(controls: Controls) -> dict[str, Any]:
    """Return the values of a new row's columns."""
    return asdict(controls) | {
        "priority": int(controls.priority),
        "webhook_events": list(controls.webhook_events),
    }


def to_canceled_by(row: GenerationRow | Row[Any]) -> CanceledBy | None:
    """Return who stopped it. Rows from before that was recorded know only whether a cancel was requested."""
    if row.status != Status.CANCELED:
        return None
    requested = row.cancel_requested_at is not None
    return CanceledBy(row.canceled_by or (CanceledBy.CLIENT if requested else CanceledBy.OPERATOR))


def keeps_message(row: GenerationRow | Row[Any]) -> bool:
    """Return whether a provider's own words may be stored, as the function of this name in the database."""
    return (
        row.content_erased_at is None
        and row.provider_data_erased_at is None
        and (row.keeps_prompt or row.finished_at is None)
    )
