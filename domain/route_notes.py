"""What is recorded of the way that a generation took from provider to provider. Pure data."""

from dataclasses import dataclass
from enum import StrEnum

from domain.attempt import AttemptState


class RouteReason(StrEnum):
    """Why a provider was or was not taken, where it is no code of domain/errors.py."""

    TAKEN = "taken"
    WAITING = "waiting"
    NOT_NEEDED = "not_needed"
    MAY_BE_CHARGED = "may_be_charged"
    CANCELED = "canceled"
    NOT_AVAILABLE = "not_available"
    REQUEST_NOT_SUPPORTED = "request_not_supported"
    NOT_RECORDED = "not_recorded"


@dataclass(frozen=True)
class RouteNote:
    """Why the provider of an attempt was left, or could not be prepared for one."""

    ordinal: int
    model: str
    provider: str
    reason: str


@dataclass(frozen=True)
class AttemptSummary:
    """What an attempt's row tells of where its generation went. code: of a refusal or failure."""

    ordinal: int
    state: AttemptState
    code: str | None = None
