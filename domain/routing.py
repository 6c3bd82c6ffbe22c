"""Which providers a generation could go to, and why each was or was not taken. Pure functions of its record.

Nothing is stored that the attempts tell. Stored are only notes: why a fallback could not be prepared, and why
the first provider was left.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from domain.attempt import AttemptState
from domain.errors import ContentRejected, ServiceError, SubmitUnknown
from domain.generation import Generation, Status
from domain.route_notes import AttemptSummary, RouteReason


@dataclass(frozen=True)
class ConsideredProvider:
    """A provider that a generation could go to.

    Attributes:
        taken: Whether it has the job, had it to the end, or may have it.
        reason: A `RouteReason`, or a code of domain/errors.py.
    """

    ordinal: int
    model: str
    provider: str
    taken: bool
    reason: str


class SubmitDecision(StrEnum):
    """What can end the doubt about a submit that got no clear response."""

    PROVIDER_WEBHOOK = "provider_webhook"
    LOOK_UP = "look_up"
    DEADLINE = "deadline"


def considered_providers(generation: Generation) -> tuple[ConsideredProvider, ...]:
    """Return the providers in their order; of a generation that was read with its attempts."""
    attempts = {attempt.ordinal: attempt for attempt in generation.attempts or ()}
    notes = {note.ordinal: note for note in generation.request.route_notes}
    request, fallback = generation.request, generation.request.fallback
    left_because = notes[1].reason if 1 in notes else None
    if left_because is None and 2 in attempts:
        left_because = _reason_of_failure(attempts.get(1))
    has_moved = 2 in attempts and attempts[2].state.may_be_charged
    taken, reason = _standing(generation, attempts.get(1))
    if left_because is not None and (has_moved or not taken):
        taken, reason = False, left_because
    found = [ConsideredProvider(1, request.model, request.provider, taken, reason)]
    if fallback is not None:
        if left_because is not None:
            taken, reason = _standing(generation, attempts.get(2))
        else:
            taken, reason = False, _why_no_fallback(generation, attempts.get(1))
        found.append(ConsideredProvider(2, fallback.model, fallback.provider, taken, reason))
    elif 2 in notes:
        note = notes[2]
        found.append(ConsideredProvider(2, note.model, note.provider, taken=False, reason=note.reason))
    return tuple(found)


def current_ordinal(generation: Generation) -> int:
    """Return the number of the attempt that the generation is at."""
    return 2 if any(note.ordinal == 1 for note in generation.request.route_notes) else 1


# What an attempt's state says by itself.
_TOLD_BY_STATE: Mapping[AttemptState, RouteReason] = {
    AttemptState.SENDING: RouteReason.MAY_BE_CHARGED,
    AttemptState.UNKNOWN: RouteReason.MAY_BE_CHARGED,
    AttemptState.ACCEPTED: RouteReason.TAKEN,
    AttemptState.SUCCEEDED: RouteReason.TAKEN,
    AttemptState.FAILED: RouteReason.TAKEN,
}


def _standing(generation: Generation, attempt: AttemptSummary | None) -> tuple[bool, str]:
    """Return whether the provider of an attempt has the job, and why or why not."""
    if attempt is not None and attempt.state in _TOLD_BY_STATE:
        # A synchronous call that ended without its response is a failed attempt, and as much in doubt.
        is_in_doubt = attempt.state is AttemptState.FAILED and attempt.code == SubmitUnknown.code
        return True, RouteReason.MAY_BE_CHARGED if is_in_doubt else _TOLD_BY_STATE[attempt.state]
    if attempt is not None and attempt.state is not AttemptState.NOT_SENT:
        return False, _reason_of_failure(attempt)
    return False, _end_of(generation) or RouteReason.WAITING


def _why_no_fallback(generation: Generation, first: AttemptSummary | None) -> str:
    """Return why the job is, or ended, where it was first."""
    if generation.status is Status.COMPLETED:
        return RouteReason.NOT_NEEDED
    may_be_charged = first is not None and first.state.may_be_charged
    if generation.status.is_terminal:
        end = _end_of(generation)
        is_decisive = generation.status is Status.CANCELED or end == ContentRejected.code
        return RouteReason.MAY_BE_CHARGED if may_be_charged and not is_decisive else end or ServiceError.code
    is_in_doubt = first is not None and first.state is AttemptState.UNKNOWN
    return RouteReason.MAY_BE_CHARGED if is_in_doubt else RouteReason.NOT_NEEDED


def _reason_of_failure(attempt: AttemptSummary | None) -> str:
    if attempt is None or attempt.code is None:
        return RouteReason.NOT_RECORDED
    return attempt.code


def _end_of(generation: Generation) -> str | None:
    """Return why a generation that has ended did so; None if it is open."""
    if generation.status is Status.CANCELED:
        return RouteReason.CANCELED
    return generation.error.code if generation.error is not None else None
