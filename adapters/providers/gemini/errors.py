"""How each error of Gemini is mapped to ours."""

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

_INPUT_REFUSED = ErrorMapping(ContentRejected, does_not_charge=False, moderated_at=ModeratedAt.INPUT)
_OUTPUT_REFUSED = ErrorMapping(ContentRejected, does_not_charge=False, moderated_at=ModeratedAt.OUTPUT)

ERRORS: ErrorTable = {
    "400 INVALID_ARGUMENT": ErrorMapping(InvalidInput),
    "400 API_KEY_INVALID": ErrorMapping(ProviderRefused),
    "4xx": ErrorMapping(ProviderRefused),
    # Whether all of the request was read is not said.
    "408": ErrorMapping(SubmitAmbiguous, does_not_charge=False),
    "429": ErrorMapping(ProviderThrottled),
    "503 UNAVAILABLE": ErrorMapping(ProviderUnavailable),
    "5xx": ErrorMapping(SubmitAmbiguous, does_not_charge=False),
    # Any reason that is not listed is read as this too: whatever it is, the prompt was blocked.
    "blockReason": _INPUT_REFUSED,
    "blockReason SAFETY": _INPUT_REFUSED,
    "blockReason OTHER": _INPUT_REFUSED,
    "blockReason BLOCKLIST": _INPUT_REFUSED,
    "blockReason PROHIBITED_CONTENT": _INPUT_REFUSED,
    "blockReason IMAGE_SAFETY": _INPUT_REFUSED,
    "finishReason SAFETY": _OUTPUT_REFUSED,
    "finishReason BLOCKLIST": _OUTPUT_REFUSED,
    "finishReason PROHIBITED_CONTENT": _OUTPUT_REFUSED,
    "finishReason SPII": _OUTPUT_REFUSED,
    "finishReason RECITATION": _OUTPUT_REFUSED,
    "finishReason IMAGE_SAFETY": _OUTPUT_REFUSED,
    "finishReason IMAGE_PROHIBITED_CONTENT": _OUTPUT_REFUSED,
    "finishReason IMAGE_RECITATION": _OUTPUT_REFUSED,
    # NO_IMAGE, IMAGE_OTHER, OTHER, MAX_TOKENS, STOP with nothing but text, and whatever comes to be.
    "200 without an image": NO_IMAGE,
    "200 with a broken image": BROKEN_IMAGE,
}
