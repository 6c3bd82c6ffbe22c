"""How each error of fal is mapped to ours."""

from adapters.providers.http.error_mapping import ErrorMapping, ErrorTable
from domain.errors import (
    ContentRejected,
    InvalidInput,
    ProviderFailed,
    ProviderRefused,
    ProviderThrottled,
    ProviderUnavailable,
    ResultUnusable,
    SubmitAmbiguous,
)
from domain.moderation import ModeratedAt

# fal bills no 5xx, and nothing that it never accepted. A job that ended in a 4xx may have run and be billed.
ERRORS: ErrorTable = {
    "429": ErrorMapping(ProviderThrottled),
    "503 with an error_type on submit": ErrorMapping(ProviderUnavailable),
    "5xx on submit": ErrorMapping(SubmitAmbiguous, does_not_charge=False),
    "422 on submit": ErrorMapping(InvalidInput),
    "4xx on submit": ErrorMapping(ProviderRefused),
    "content_policy_violation": ErrorMapping(
        ContentRejected, does_not_charge=False, moderated_at=ModeratedAt.INPUT
    ),
    "has_nsfw_concepts": ErrorMapping(
        ContentRejected, does_not_charge=False, moderated_at=ModeratedAt.OUTPUT
    ),
    "no_media_generated": ErrorMapping(ProviderFailed, does_not_charge=False),
    "no usable image": ErrorMapping(ResultUnusable, does_not_charge=False),
    "422": ErrorMapping(InvalidInput, does_not_charge=False),
    "404 on a job": ErrorMapping(ProviderFailed, does_not_charge=False),
    "4xx": ErrorMapping(ProviderRefused, does_not_charge=False),
    "5xx": ErrorMapping(ProviderFailed),
    "request_timeout": ErrorMapping(ProviderFailed),
    "startup_timeout": ErrorMapping(ProviderFailed),
    "runner_scheduling_failure": ErrorMapping(ProviderFailed),
    "runner_connection_timeout": ErrorMapping(ProviderFailed),
    "runner_connection_refused": ErrorMapping(ProviderFailed),
    "runner_connection_error": ErrorMapping(ProviderFailed),
    "runner_disconnected": ErrorMapping(ProviderFailed),
    "runner_incomplete_response": ErrorMapping(ProviderFailed),
    "runner_server_error": ErrorMapping(ProviderFailed),
    "internal_error": ErrorMapping(ProviderFailed),
    "another error_type": ErrorMapping(ProviderFailed, does_not_charge=False),
}
