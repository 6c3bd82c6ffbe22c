"""How each error of Together AI is mapped to ours."""

from adapters.providers.http.error_mapping import ErrorMapping, ErrorTable
from adapters.providers.http.inline_images import BROKEN_IMAGE, NO_IMAGE
from domain.errors import (
    ContentRejected,
    InvalidInput,
    ProviderRefused,
    ProviderThrottled,
    SubmitAmbiguous,
)
from domain.moderation import ModeratedAt

ERRORS: ErrorTable = {
    "NSFW": ErrorMapping(ContentRejected, does_not_charge=False, moderated_at=ModeratedAt.INPUT),
    "NSFW in the image": ErrorMapping(ContentRejected, does_not_charge=False, moderated_at=ModeratedAt.OUTPUT),
    "400": ErrorMapping(InvalidInput),
    "422": ErrorMapping(InvalidInput),
    "4xx": ErrorMapping(ProviderRefused),
    "408": ErrorMapping(SubmitAmbiguous, does_not_charge=False),
    "429": ErrorMapping(ProviderThrottled),
    "5xx": ErrorMapping(SubmitAmbiguous, does_not_charge=False),
    "200 without an image": NO_IMAGE,
    "200 with a broken image": BROKEN_IMAGE,
}
