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
    "400 moderation_blocked": ErrorMapping(
        ContentRejected, does_not_charge=False, moderated_at=ModeratedAt.INPUT
    ),
    "400 moderation_blocked output": ErrorMapping(
        ContentRejected, does_not_charge=False, moderated_at=ModeratedAt.OUTPUT
    ),
    "400 content_policy_violation": ErrorMapping(
        ContentRejected, does_not_charge=False, moderated_at=ModeratedAt.INPUT
    ),
    "400 invalid_request_error": ErrorMapping(InvalidInput),
    "400 image_generation_user_error": ErrorMapping(InvalidInput),
    # Any other 400 is about the request, whatever its type; about the account are those named here.
    "400": ErrorMapping(InvalidInput),
    "400 billing_hard_limit_reached": ErrorMapping(ProviderRefused),
    "4xx": ErrorMapping(ProviderRefused),
    # The provider may have read the whole request before it gave up.
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
