"""Every error that Darkroom raises deliberately. docs/errors.md lists the codes.

ServiceError
    PermanentError
        InvalidInput
        BodyTooLarge
        UnsupportedMediaType
        IdempotencyKeyInvalid
        IdempotencyKeyReused
        IdempotencyKeyInUse
        MaxCostExceeded
        Unauthenticated
        ScopeMissing
        GenerationNotFound
        ImageNotFound
        ModelNotFound
        ModelUnavailable
        FileNotFound
        TenantNotFound
        WebhookEndpointNotFound
        DeliveryNotFound
        BatchNotFound
        TooLateToCancel
        SignatureInvalid
        LinkExpired
        InsufficientCredits
        KeyBudgetExceeded
        LotNotFound
        ReferenceReused
        TakeBackTooLarge
        TenantSuspended
        KeyNotValid
        FileQuotaExceeded
        UnchargedCostExceeded
        TooManyWebhookEndpoints
        WebhookEndpointDisabled
        ApiKeyNotFound
        ApiKeyEnded
        KeyExceedsOwn
        TooManyApiKeys
        LimitReached
            RateLimited
            TooManyOpenGenerations
            TooManyWaitingGenerations
            TooManyWaiting
            TooManyHeldCredits
            TooManyOpenBatches
        NotTerminal
        FileInUse
        ImageErased
        RequestErased
        EventsExpired
        RequestAbandoned
        GenerationCanceled
        GenerationPending
        ContentRejected
        NotDelivered
        ProviderRefused
        RetryableFailure
            ProviderFailed
            ProviderTimedOut
            SubmitUnknown
            QueueTimedOut
            NotStartedInTime
            ResultUnusable
            ResultExpired
            WorkflowLost
    SubmitAmbiguous
    TransientError
        ProviderUnavailable
        ProviderThrottled
        TooManyFailedKeys
        Overloaded
        VerificationUnavailable
        ResultUnavailable
        StorageUnavailable
        ModerationUnavailable
        TemporalUnavailable
        WorkerStopping
        DatabaseUnavailable
        OutcomeUnknown
        ImageDecoderUnavailable
        SecretUnreadable
        TooManyAtOnce
"""

from dataclasses import dataclass
from functools import cache
from typing import ClassVar

from domain.moderation import ModeratedAt


@dataclass(frozen=True)
class JobFacts:
    """The job that an error is about. charged: whether it cost anything; None if that is not known yet."""

    generation_id: str
    stage: str | None = None
    charged: bool | None = None


class ServiceError(Exception):
    """Base of every deliberate error.

    `code` is part of the API. It and `message` may be shown anywhere; the constructor's text may hold a
    provider's message and stays in logs and PostgreSQL. `retryable`: a new generation may succeed.
    """

    code: ClassVar[str] = "internal_error"
    message: ClassVar[str] = "Something went wrong on our side."
    retryable: ClassVar[bool] = True

    about: JobFacts | None = None

    def __init__(self, detail: str | None = None) -> None:
        super().__init__(detail or self.message)


class PermanentError(ServiceError):
    """The same call cannot succeed.

    may_be_charged: For what a provider refused, whether it may bill the refusal all the same.
    """

    retryable = False
    may_be_charged = False


class InvalidInput(PermanentError):
    """A field is missing, unknown, or outside its limits. `errors` names each."""

    code = "invalid_input"
    message = "The request is not valid for this model."

    def __init__(self, detail: str | None = None, *, errors: tuple[tuple[str, str], ...] = ()) -> None:
        super().__init__(detail or "; ".join(f"{field}: {text}" for field, text in errors) or None)
        self.errors = errors


class BodyTooLarge(PermanentError):
    """The request body is over the cap."""

    code = "body_too_large"
    message = "The request body is too large."


class UnsupportedMediaType(PermanentError):
    """The body is of another kind than the call takes. The text names the kind that it takes."""

    code = "unsupported_media_type"
    message = "The body is not of the kind that this call takes."


class IdempotencyKeyInvalid(PermanentError):
    """The Idempotency-Key header is empty, too long, not printable ASCII, or given twice."""

    code = "idempotency_key_invalid"
    message = "Idempotency-Key must be given once and be 1 to 255 printable ASCII characters."


class IdempotencyKeyReused(PermanentError):
    """The key was used before with another body."""

    code = "idempotency_key_reused"
    message = "This Idempotency-Key was used with another request."


class IdempotencyKeyInUse(PermanentError):
    """A request with this key is being accepted: its images are not fetched yet, so there is no job."""

    code = "idempotency_key_in_use"
    message = "A request with this Idempotency-Key is still being accepted; ask again in a moment."
    retryable = True


class MaxCostExceeded(PermanentError):
    """The price is higher than the client accepts. The text names both."""

    code = "max_cost_exceeded"
    message = "The price is above max_cost."


class Unauthenticated(PermanentError):
    """No API key, or not a valid one."""

    code = "unauthenticated"
    message = "A valid API key is needed: Authorization: Bearer dk_…"


class ScopeMissing(PermanentError):
    """The API key is genuine but may not do this."""

    code = "scope_missing"
    message = "This API key does not have the scope that the call needs."


class GenerationNotFound(PermanentError):
    """This tenant has no generation with that id."""

    code = "generation_not_found"
    message = "No such generation."


class ImageNotFound(PermanentError):
    """The generation has no image with that index, or not yet."""

    code = "image_not_found"
    message = "No such image."


class ModelNotFound(PermanentError):
    """The catalog has no such model."""

    code = "model_not_found"
    message = "No such model."


class ModelUnavailable(PermanentError):
    """The model's provider has no credentials on this installation."""

    code = "model_unavailable"
    message = "This model is switched off on this installation."


class FileNotFound(PermanentError):
    """This tenant has no file with that id, or it has expired."""

    code = "file_not_found"
    message = "No such file."


class TenantNotFound(PermanentError):
    """No tenant has this id."""

    code = "tenant_not_found"
    message = "No such tenant."


class WebhookEndpointNotFound(PermanentError):
    """This tenant has no webhook endpoint with that id."""

    code = "webhook_endpoint_not_found"
    message = "No such webhook endpoint."


class DeliveryNotFound(PermanentError):
    """This tenant has no delivery with that id, or it is no longer kept."""

    code = "delivery_not_found"
    message = "No such delivery."


class BatchNotFound(PermanentError):
    """This tenant has no batch with that id."""

    code = "batch_not_found"
    message = "No such batch."


class TooLateToCancel(PermanentError):
    """Storing has begun, or the generation or batch has ended otherwise."""

    code = "too_late_to_cancel"
    message = "It can no longer be canceled."

    def __init__(self, detail: str | None = None, *, about: JobFacts | None = None) -> None:
        super().__init__(detail)
        self.about = about


class SignatureInvalid(PermanentError):
    """Forged, stale or malformed; it deliberately does not say which."""

    code = "signature_invalid"
    message = "The signature is not valid."


class LinkExpired(PermanentError):
    """The signature in an image's address was ours, and its time is over."""

    code = "link_expired"
    message = "The link has expired; read the generation for a new one."


class InsufficientCredits(PermanentError):
    """The account's available balance is below the price."""

    code = "insufficient_credits"
    message = "The account does not have enough available credits."


class KeyBudgetExceeded(PermanentError):
    """What the API key may spend this month does not cover the price. The text names both."""

    code = "key_budget_exceeded"
    message = "The price is above what is left of this API key's budget of the month."


class LotNotFound(PermanentError):
    """There is no lot with that id."""

    code = "lot_not_found"
    message = "No such lot."


class ReferenceReused(PermanentError):
    """The reference of a grant, withdrawal or take-back was used for another. The text says what differs."""

    code = "reference_reused"
    message = "This reference was used before, and not for the same."


class TakeBackTooLarge(PermanentError):
    """More would be taken back of a payment than was granted for it. The text names both."""

    code = "take_back_too_large"
    message = "More cannot be taken back than was granted for this payment."


class TenantSuspended(PermanentError):
    """An operator has suspended the tenant. None of its keys may do anything; what is open goes on."""

    code = "tenant_suspended"
    message = "This account is suspended."


class KeyNotValid(PermanentError):
    """The API key that made a batch was revoked or has expired, so that nothing more is made for it."""

    code = "key_not_valid"
    message = "The API key that asked for it was revoked or has expired."


class FileQuotaExceeded(PermanentError):
    """The tenant has as many files, or bytes in files, as it may. They expire, and may be deleted."""

    code = "file_quota_exceeded"
    message = "The account has as many files as it may; delete some, or wait until they expire."


class UnchargedCostExceeded(PermanentError):
    """Too much of what the tenant had providers do today was canceled late or refused, and not charged."""

    code = "uncharged_cost_exceeded"
    message = "Too much was canceled late or refused today; new generations are accepted tomorrow."


class TooManyWebhookEndpoints(PermanentError):
    """The tenant has as many webhook endpoints as it may."""

    code = "too_many_webhook_endpoints"
    message = "The account has as many webhook endpoints as it may; delete one first."


class WebhookEndpointDisabled(PermanentError):
    """The endpoint gets nothing: its client disabled it, it responded 410, or it failed for days."""

    code = "webhook_endpoint_disabled"
    message = "The webhook endpoint is disabled; enable it first."


class ApiKeyNotFound(PermanentError):
    """The tenant has no API key with that id."""

    code = "api_key_not_found"
    message = "No such API key."


class ApiKeyEnded(PermanentError):
    """The API key is revoked or expired, and stays as it is."""

    code = "api_key_ended"
    message = "The API key is revoked or expired, and cannot be changed; make another one."


class KeyExceedsOwn(PermanentError):
    """An API key would make or edit one that may do more than itself. `errors` names each field."""

    code = "key_exceeds_own"
    message = "An API key cannot make or edit a key that may do more than itself."

    def __init__(self, detail: str | None = None, *, errors: tuple[tuple[str, str], ...] = ()) -> None:
        super().__init__(detail or "; ".join(f"{field}: {text}" for field, text in errors) or None)
        self.errors = errors


class TooManyApiKeys(PermanentError):
    """The tenant has as many API keys that are valid as it may."""

    code = "too_many_api_keys"
    message = "The account has as many API keys as it may; revoke one first."


class LimitReached(PermanentError):
    """A limit of the tenant that passes by itself. `retry_after_seconds`: when to ask again."""

    def __init__(self, detail: str | None = None, *, retry_after_seconds: float = 1.0) -> None:
        super().__init__(detail)
        self.retry_after_seconds = retry_after_seconds


class RateLimited(LimitReached):
    """The tenant, or this key, has used up its requests."""

    code = "rate_limited"
    message = "Too many requests; Retry-After says when the next one is accepted."


class TooManyOpenGenerations(LimitReached):
    """As many generations of the tenant are open as may be."""

    code = "too_many_open_generations"
    message = "Too many generations are open; post again when some have ended."


class TooManyWaitingGenerations(LimitReached):
    """As many generations of the tenant wait for a provider as may."""

    code = "too_many_waiting_generations"
    message = "Too many generations wait for a provider; post again when some have been submitted."


class NotTerminal(PermanentError):
    """A generation can only be deleted, or repeated, once it has ended."""

    code = "not_terminal"
    message = "The generation has not ended; wait, or cancel it first."


class FileInUse(PermanentError):
    """A generation that has not ended needs the file, or a batch: its lines are checked, or an item waits."""

    code = "file_in_use"
    message = "A generation or a batch that has not ended needs this file."


class ImageErased(PermanentError):
    """The image was deleted, by its owner or after the time that images are kept."""

    code = "image_erased"
    message = "The image was deleted."


class RequestErased(PermanentError):
    """What a generation was asked for is no longer stored, so it cannot be asked for again."""

    code = "request_erased"
    message = "The request of this generation is no longer stored; post it again."


class TooManyWaiting(LimitReached):
    """So many streams are open, and requests waiting, that this process takes no more of this tenant."""

    code = "too_many_waiting"
    message = "Too many streams are open, or requests waiting."


class TooManyHeldCredits(LimitReached):
    """The open jobs of the API key would hold more than it may. The text names the cap."""

    code = "too_many_held_credits"
    message = "The open generations of this API key hold as many credits as they may."


class TooManyOpenBatches(LimitReached):
    """As many batches of the tenant are open as may be."""

    code = "too_many_open_batches"
    message = "Too many batches are open; post again when one has ended."


class EventsExpired(PermanentError):
    """The event that a client has seen last is older than the log, or was never in it."""

    code = "events_expired"
    message = "The log of events does not reach back so far: read the jobs again, and start without a cursor."


class RequestAbandoned(PermanentError):
    """The client disconnected before its request was stored; nothing was."""

    code = "request_abandoned"
    message = "The client disconnected before the request was accepted."


class GenerationCanceled(PermanentError):
    """The generation that a client waits for was canceled."""

    code = "generation_canceled"
    message = "The generation was canceled."


class GenerationPending(PermanentError):
    """The generation that a client waits for has not ended in the time that a request may take."""

    code = "generation_pending"
    message = "The generation goes on: read it by its id. Do not send the request again."


class ContentRejected(PermanentError):
    """The request or the image broke a content rule of the provider or our own."""

    code = "content_rejected"
    message = "The content was refused on content grounds."

    def __init__(self, detail: str | None = None, *, at: ModeratedAt = ModeratedAt.INPUT) -> None:
        self.at = at
        super().__init__(detail)


class NotDelivered(PermanentError):
    """The provider sent fewer images than requested. It ends no generation: the others are delivered."""

    code = "not_delivered"
    message = "The provider did not send this image."


class ProviderRefused(PermanentError):
    """The provider refused our request or our credentials."""

    code = "provider_refused"
    message = "The provider refused the request."


class RetryableFailure(PermanentError):
    """The generation has failed; a new one for the same request may succeed."""

    retryable = True


class ProviderFailed(RetryableFailure):
    """The provider accepted the job and then failed it. A new generation may succeed."""

    code = "provider_failed"
    message = "The provider could not make the image."


class ProviderTimedOut(RetryableFailure):
    """No result before the deadline."""

    code = "provider_timed_out"
    message = "The provider did not finish in time."


class SubmitUnknown(RetryableFailure):
    """The deadline passed and it is unknown whether the provider took the job."""

    code = "submit_unknown"
    message = "It is not known whether the provider accepted the job; credits were returned."


class QueueTimedOut(RetryableFailure):
    """No free slot at the provider in time. Nothing was submitted."""

    code = "queue_timed_out"
    message = "The provider had no free slot in time."


class NotStartedInTime(RetryableFailure):
    """No provider had taken the job in the time that its client gave for it. Nothing was charged."""

    code = "not_started_in_time"
    message = "No provider took the job within the time that was set for it."


class ResultUnusable(RetryableFailure):
    """The result is not a whole image of an allowed kind and size."""

    code = "result_unusable"
    message = "The provider's result is not a usable image."


class ResultExpired(RetryableFailure):
    """The provider no longer serves the result."""

    code = "result_expired"
    message = "The provider's result expired before it could be stored."


class WorkflowLost(RetryableFailure):
    """The workflow was terminated or failed while the generation was open."""

    code = "workflow_lost"
    message = "The generation was stopped by an operator or a fault; credits were returned."


class SubmitAmbiguous(ServiceError):
    """The request was sent and no clear response came back. Never retried."""

    code = "submit_ambiguous"
    message = "The provider may have accepted the job."


class TransientError(ServiceError):
    """Retrying the same call may succeed, no sooner than `retry_after_seconds`."""

    def __init__(self, detail: str | None = None, *, retry_after_seconds: float | None = None) -> None:
        super().__init__(detail)
        self.retry_after_seconds = retry_after_seconds


class ProviderUnavailable(TransientError):
    """The provider could not be reached or responded with 5xx; nothing was accepted."""

    code = "provider_unavailable"
    message = "The provider is not available."


class ProviderThrottled(TransientError):
    """The provider responded with 429; nothing was accepted."""

    code = "provider_throttled"
    message = "The provider asks us to slow down."


class TooManyFailedKeys(TransientError):
    """Too many wrong API keys came from this address, and this one is not known to be genuine."""

    code = "too_many_failed_keys"
    message = "Too many requests from this address had a wrong API key; try again later."


class Overloaded(TransientError):
    """The API has as many requests of this kind in progress as it takes."""

    code = "overloaded"
    message = "Too many requests are in progress; try again."


class VerificationUnavailable(TransientError):
    """A webhook cannot be verified now because the provider's keys cannot be fetched."""

    code = "verification_unavailable"
    message = "The webhook cannot be verified now; send it again later."


class ResultUnavailable(TransientError):
    """The result could not be downloaded whole this time."""

    code = "result_unavailable"
    message = "The provider's result could not be downloaded."


class StorageUnavailable(TransientError):
    """The object store failed or returned something else than requested, or our own disk has no room."""

    code = "storage_unavailable"
    message = "The image store is not available."


class ModerationUnavailable(TransientError):
    """Our own input check could not run. A request that was not checked does not pass."""

    code = "moderation_unavailable"
    message = "The input check is not available; try again."


class TemporalUnavailable(TransientError):
    """Temporal could not be reached within the time allowed."""

    code = "temporal_unavailable"
    message = "The workflow service is not available."


class WorkerStopping(TransientError):
    """The worker was stopped before it asked the provider; another one goes on."""

    code = "worker_stopping"
    message = "The worker stops; another one goes on."


class DatabaseUnavailable(TransientError):
    """PostgreSQL could not be reached or ended the connection."""

    code = "database_unavailable"
    message = "The database is not available; try again."
    # Whether the transaction may have been committed all the same.
    may_be_committed = False


class OutcomeUnknown(TransientError):
    """The database went away while it stored a job: it may be there, and will then run and be charged.

    generation_id: The id that the job has, if it is there. is_repeatable: Whether the request had an
    Idempotency-Key, and so may be sent again.
    """

    code = "outcome_unknown"
    message = (
        "It is not known whether the job was stored. Send the same request again if it had an"
        " Idempotency-Key; else ask for generation_id: 404 means that there is no job."
    )

    def __init__(
        self,
        detail: str | None = None,
        *,
        retry_after_seconds: float | None = None,
        generation_id: str = "",
        is_repeatable: bool = False,
    ) -> None:
        super().__init__(detail, retry_after_seconds=retry_after_seconds)
        self.generation_id = generation_id
        self.is_repeatable = is_repeatable


class ImageDecoderUnavailable(TransientError):
    """An image could not be decoded for a lack of ours: of processes, time, memory or disk."""

    code = "image_decoder_unavailable"
    message = "Images cannot be decoded now; try again."


class SecretUnreadable(TransientError):
    """A stored secret was sealed under a master key that this process does not accept, or was changed."""

    code = "secret_unreadable"
    message = "A stored secret cannot be read; an operator has to look at the master keys."


class TooManyAtOnce(TransientError):
    """Too many images of one tenant wait to be decoded, or none of them was in time."""

    code = "too_many_at_once"
    message = "Too many images at once; send this one again when others are done."


def every_error(base: type[ServiceError] = ServiceError) -> dict[str, type[ServiceError]]:
    """Return each error class by its code, without the inner nodes of the tree."""
    below = (every_error(child).items() for child in base.__subclasses__())
    return {code: error for items in below for code, error in items} or {base.code: base}


@cache
def describe(code: str) -> type[ServiceError]:
    """Return the class of a code; an unknown code is an internal error."""
    return every_error().get(code, ServiceError)
