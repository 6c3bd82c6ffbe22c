"""How each error of Black Forest Labs is mapped to ours."""

from adapters.providers.http.error_mapping import ErrorMapping, ErrorTable
from domain.errors import (
    ContentRejected,
    InvalidInput,
    ProviderFailed,
    ProviderRefused,
    ProviderThrottled,
    ResultUnusable,
    SubmitAmbiguous,
)
from domain.moderation import ModeratedAt

# BFL says nowhere which of its failures it gives credits back for, so none of a task's is taken for free.
ERRORS: ErrorTable = {
    "429": ErrorMapping(ProviderThrottled),
    "422": ErrorMapping(InvalidInput),
    "402": ErrorMapping(ProviderRefused),
    "4xx": ErrorMapping(ProviderRefused),
    "5xx on submit": ErrorMapping(SubmitAmbiguous, does_not_charge=False),
    "Request Moderated": ErrorMapping(ContentRejected, does_not_charge=False, moderated_at=ModeratedAt.INPUT),
    "Content Moderated": ErrorMapping(ContentRejected, does_not_charge=False, moderated_at=ModeratedAt.OUTPUT),
    "Error": ErrorMapping(ProviderFailed, does_not_charge=False),
    "Failed": ErrorMapping(ProviderFailed, does_not_charge=False),
    "Task not found": ErrorMapping(ProviderFailed, does_not_charge=False),
    "Ready without a sample": ErrorMapping(ResultUnusable, does_not_charge=False),
}
