"""How each error of Replicate is mapped to ours."""

from adapters.providers.http.error_mapping import ErrorMapping, ErrorTable
from domain.errors import (
    ContentRejected,
    InvalidInput,
    ProviderFailed,
    ProviderRefused,
    ProviderThrottled,
    ProviderTimedOut,
    ResultExpired,
    ResultUnusable,
    SubmitAmbiguous,
)
from domain.moderation import ModeratedAt

# Replicate bills what ran, also where it failed. Only what never started is said to be free.
ERRORS: ErrorTable = {
    "429": ErrorMapping(ProviderThrottled),
    "Invalid version or not permitted": ErrorMapping(ProviderRefused),
    "422 on submit": ErrorMapping(InvalidInput),
    "4xx on submit": ErrorMapping(ProviderRefused),
    "5xx on submit": ErrorMapping(SubmitAmbiguous, does_not_charge=False),
    "404 on a prediction": ErrorMapping(ProviderFailed, does_not_charge=False),
    "E005": ErrorMapping(ContentRejected, does_not_charge=False, moderated_at=ModeratedAt.INPUT),
    "flagged as sensitive": ErrorMapping(ContentRejected, does_not_charge=False, moderated_at=ModeratedAt.INPUT),
    "nsfw content detected": ErrorMapping(ContentRejected, does_not_charge=False, moderated_at=ModeratedAt.OUTPUT),
    "E4875": ErrorMapping(ProviderRefused, does_not_charge=False),
    "failed": ErrorMapping(ProviderFailed, does_not_charge=False),
    "canceled": ErrorMapping(ProviderFailed, does_not_charge=False),
    "aborted": ErrorMapping(ProviderTimedOut),
    "data_removed": ErrorMapping(ResultExpired, does_not_charge=False),
    "no usable image": ErrorMapping(ResultUnusable, does_not_charge=False),
}
