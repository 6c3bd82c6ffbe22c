"""How each error of OpenAI is mapped to ours."""

from adapters.providers.http.error_mapping import ErrorMapping, ErrorTable
from adapters.providers.http.inline_images import BROKEN_IMAGE, NO_IMAGE
from domain.errors import (
    ContentRejected,
    InvalidInput,
    ProviderRefused,
    ProviderThrottled,
    ProviderUnavailable,
    SubmitAmbiguous,
)
from domain.moderation import ModeratedAt

ERRORS: ErrorTable = {
    "400 moderation_blocked": ErrorMapping(ContentRejected, does_not_charge=False, moderated_at=ModeratedAt.INPUT),
    "400 moderation_blocked output": ErrorMapping(ContentRejected, does_not_charge=False, moderated_at=ModeratedAt.OUTPUT),
    "400 content_policy_violation": ErrorMapping(ContentRejected, does_not_charge=False, moderated_at=ModeratedAt.INPUT),
    "400 invalid_request_error": ErrorMapping(InvalidInput),
    "400 billing_hard_limit_reached": ErrorMapping(ProviderRefused),
    "4xx": ErrorMapping(ProviderRefused),
    # Whether all of the request was read is not said.
    "408": ErrorMapping(SubmitAmbiguous, does_not_charge=False),
    "429": ErrorMapping(ProviderThrottled),
    "429 insufficient_quota": ErrorMapping(ProviderRefused),
    "429 credit_balance_exhausted": ErrorMapping(ProviderRefused),
    "429 billing_hard_limit_reached": ErrorMapping(ProviderRefused),
    "503 server_is_overloaded": ErrorMapping(ProviderUnavailable),
    "5xx": ErrorMapping(SubmitAmbiguous, does_not_charge=False),
    "200 without an image": NO_IMAGE,
    "200 with a broken image": BROKEN_IMAGE,
}
