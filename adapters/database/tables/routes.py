"""Between columns and what is recorded of the way that a generation took from provider to provider."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from domain.attempt import AttemptState
from domain.route_notes import AttemptSummary, RouteNote

# Of the row `generations`, as one value.
ATTEMPTS_OF = """
    SELECT coalesce(jsonb_agg(jsonb_build_array(ordinal, state, code) ORDER BY ordinal), '[]') AS attempts
    FROM attempts WHERE generation_id = generations.id
"""


def selected_attempts(row: object) -> tuple[AttemptSummary, ...] | None:
    """Return the attempts of a generation; None if its row was selected without them."""
    selected = getattr(row, "attempts", None)
    if selected is None:
        return None
    return tuple(AttemptSummary(ordinal, AttemptState(state), code) for ordinal, state, code in selected)


def notes_from_json(stored: Sequence[dict[str, Any]]) -> tuple[RouteNote, ...]:
    """Return the notes in the column `routing`; what a later version adds to one is left out."""
    return tuple(
        RouteNote(note["ordinal"], note["model"], note["provider"], note["reason"]) for note in stored
    )


def notes_to_json(notes: Sequence[RouteNote]) -> list[dict[str, Any]]:
    return [asdict(note) for note in notes]
