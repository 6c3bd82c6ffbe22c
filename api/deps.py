"""The dependencies of routes.

Each is a coroutine: FastAPI would call a plain function on a thread for every request.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Annotated

from fastapi import Depends, HTTPException, Request
from fastapi.exceptions import RequestValidationError

from api.http.client import client_of
from api.http.declarations import declares
from api.http.json_body import read_generation
from api.http.path_ids import DeliveryId as DeliveryId
from api.http.path_ids import FileId as FileId
from api.http.path_ids import GenerationId as GenerationId
from api.http.path_ids import WebhookEndpointId as WebhookEndpointId
from api.http.request_log import note_caller
from api.http.response_headers import BUDGET, RATE_LIMIT
from api.http.schemas.generations import GenerationCreate
from api.http.serializers import GenerationSerializer
from api.services.admission import Admission
from api.services.api_keys import ApiKeyService
from api.services.batches import BatchService
from api.services.billing import OperatorServices
from api.services.credits import CreditService
from api.services.estimates import Estimates
from api.services.event_feed import EventFeed
from api.services.event_streams import EventStreams
from api.services.generations import GenerationService
from api.services.image_copies import ImageCopies
from api.services.input_files import InputFileService
from api.services.key_budgets import KeyBudgets
from api.services.key_guard import KeyGuard
from api.services.openai_images import ImageRequestService
from api.services.partial_images import PartialImageFeed
from api.services.progress import ProgressService
from api.services.rate_limiter import RateLimiter
from api.services.readiness import Readiness
from api.services.sessions import Sessions
from api.services.state_gauges import StateGauges
from api.services.tenant_limits import TenantConcurrencyLimiter
from api.services.waiter import Waiter
from api.services.webhook_endpoints import WebhookEndpointService
from api.services.workflow_status import WorkflowStatus
from domain.audit import Actor
from domain.auth import Caller, Scope
from domain.catalog import Catalog
from domain.errors import (
    DatabaseUnavailable,
    IdempotencyKeyInvalid,
    InvalidInput,
    RateLimited,
    ScopeMissing,
    TenantSuspended,
    TooManyAtOnce,
    TooManyFailedKeys,
    Unauthenticated,
    UnsupportedMediaType,
)
from domain.keyring import Keyring
from domain.ports import (
    Erasure,
    EventLog,
    Generations,
    InputFiles,
    ObjectStore,
    ProviderSlots,
    TenantStates,
    WebhookReader,
)
from domain.tenant import RatePolicy

_MAX_KEY_CHARACTERS = 255
_IDEMPOTENCY_KEY = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "description": "Repeating a call with the same key returns what the first one made. Plain or in quotes.",
    # Printable ASCII, with no space at either end, and not only two quotes.
    "schema": {"type": "string", "pattern": '^(?!""$)[!-~]([ -~]{0,253}[!-~])?$'},
}


@dataclass(frozen=True)
class Services:
    """Everything behind the routes, built once by composition/api.py."""

    catalog: Catalog
    generations: Generations
    credits: CreditService
    key_guard: KeyGuard[Caller]
    operators: OperatorServices
    key_budgets: KeyBudgets
    api_keys: ApiKeyService
    tenants: TenantStates
    input_files: InputFiles
    slots: ProviderSlots
    progress: ProgressService
    input_file_service: InputFileService
    batches: BatchService
    generation_service: GenerationService
    estimates: Estimates
    workflow_status: WorkflowStatus
    event_log: EventLog
    event_feed: EventFeed
    event_streams: EventStreams
    waiter: Waiter
    store: ObjectStore
    image_copies: ImageCopies
    partial_images: PartialImageFeed
    webhook_readers: Mapping[str, WebhookReader]
    serializer: GenerationSerializer
    readiness: Readiness
    state_gauges: StateGauges
    admission: Admission
    sessions: Sessions
    erasure: Erasure
    rate_limiter: RateLimiter
    large_bodies: TenantConcurrencyLimiter
    keyring: Keyring
    webhook_endpoints: WebhookEndpointService
    image_requests: ImageRequestService


async def _services(request: Request) -> Services:
    services: Services = request.app.state.services
    return services


ServicesDep = Annotated[Services, Depends(_services)]


@declares(
    *(Unauthenticated, TenantSuspended, TooManyFailedKeys, TooManyAtOnce, DatabaseUnavailable),
    security=("bearer",),
)
async def _caller(request: Request, services: ServicesDep) -> Caller:
    headers = request.headers.getlist("authorization")
    scheme, _, api_key = (headers[0] if len(headers) == 1 else "").partition(" ")
    if scheme.lower() != "bearer":
        raise Unauthenticated
    client = client_of(request)
    caller = await services.key_guard.identify_caller(api_key, client)
    note_caller(caller.tenant_id, caller.key_id)
    request.state.key_id = caller.key_id
    await client.mark_authenticated(caller.tenant_id)
    return caller


AnyCaller = Annotated[Caller, Depends(_caller)]


def key_of(request: Request) -> str | None:
    """Return the id of the request's key; None if it has another way in."""
    return getattr(request.state, "key_id", None)


def with_scope(scope: Scope, policy: RatePolicy) -> Callable[..., Awaitable[Caller]]:
    """Return a dependency that checks the scope, and takes the request from the caller's allowance."""

    @declares(ScopeMissing, RateLimited, scope=scope, headers=RATE_LIMIT)
    async def check(request: Request, caller: AnyCaller, services: ServicesDep) -> Caller:
        _take(request, services.rate_limiter, caller, policy)
        caller.require(scope)
        return caller

    return check


def _take(request: Request, limiter: RateLimiter, caller: Caller, policy: RatePolicy) -> None:
    """Take the request from the allowance, and let the response say what is left of it."""
    request.state.rate_allowance = partial(limiter.allowance, caller, policy)
    limiter.take(caller, policy)


# What `reader_of` may raise, for those who call it by hand.
READER_ERRORS = (
    *(Unauthenticated, TenantSuspended, TooManyFailedKeys, TooManyAtOnce, DatabaseUnavailable),
    *(ScopeMissing, RateLimited),
)


async def reader_of(request: Request, services: Services) -> Caller:
    """Return the caller of a route that a key is one of several ways into. Raises as `CanReadGenerations`."""
    caller = await _caller(request, services)
    caller.require(Scope.READ_GENERATIONS)
    _take(request, services.rate_limiter, caller, RatePolicy.READ)
    return caller


CanReadGenerations = Annotated[Caller, Depends(with_scope(Scope.READ_GENERATIONS, RatePolicy.READ))]
# Who may create may ask what it would cost, at the rate of reads: nothing comes of it.
CanEstimate = Annotated[Caller, Depends(with_scope(Scope.WRITE_GENERATIONS, RatePolicy.READ))]
CanUploadFiles = Annotated[Caller, Depends(with_scope(Scope.WRITE_GENERATIONS, RatePolicy.CREATE))]
CanCancelGenerations = Annotated[Caller, Depends(with_scope(Scope.WRITE_GENERATIONS, RatePolicy.CANCEL))]
CanReadWebhooks = Annotated[Caller, Depends(with_scope(Scope.MANAGE_WEBHOOKS, RatePolicy.READ))]
CanManageWebhooks = Annotated[Caller, Depends(with_scope(Scope.MANAGE_WEBHOOKS, RatePolicy.CANCEL))]
CanSendWebhooks = Annotated[Caller, Depends(with_scope(Scope.MANAGE_WEBHOOKS, RatePolicy.CREATE))]
CanReadCredits = Annotated[Caller, Depends(with_scope(Scope.READ_CREDITS, RatePolicy.READ))]


@declares(RateLimited, headers=RATE_LIMIT)
async def _any_reader(request: Request, caller: AnyCaller, services: ServicesDep) -> Caller:
    _take(request, services.rate_limiter, caller, RatePolicy.READ)
    return caller


AnyReader = Annotated[Caller, Depends(_any_reader)]


def actor_of(caller: Caller) -> Actor:
    """Return the key as the audit trail names it."""
    return Actor(f"key:{caller.key_id}")


def _read_idempotency_key(request: Request) -> str | None:
    """Return the header, plain or quoted as in the draft standard; None if it was not sent."""
    given = request.headers.getlist("idempotency-key")
    if not given:
        return None
    key = given[0].strip()
    if len(key) > 1 and key[0] == key[-1] == '"':
        key = key[1:-1]
    if (
        len(given) > 1
        or not 1 <= len(key) <= _MAX_KEY_CHARACTERS
        or not (key.isascii() and key.isprintable())
    ):
        raise IdempotencyKeyInvalid
    return key


@declares(IdempotencyKeyInvalid, parameters=(_IDEMPOTENCY_KEY,))
async def _idempotency_key(request: Request) -> str | None:
    return _read_idempotency_key(request)


IdempotencyKey = Annotated[str | None, Depends(_idempotency_key)]


async def show_budget(request: Request, caller: AnyCaller, services: ServicesDep) -> None:
    """Let the response say what is left of the caps of the key, if it has any."""
    if caller.has_caps:
        request.state.key_budget = partial(services.key_budgets.budget, caller)


ShowsBudget = Annotated[None, Depends(declares(headers=BUDGET)(show_budget))]


@declares(ScopeMissing, RateLimited, scope=Scope.WRITE_GENERATIONS, headers=RATE_LIMIT)
async def _creator(request: Request, caller: AnyCaller, services: ServicesDep, _: ShowsBudget) -> Caller:
    """Return a caller who may create.

    With a key it may be a repeat, which is always answered: the service takes the request, once it knows.
    """
    limiter = services.rate_limiter
    request.state.rate_allowance = partial(limiter.allowance, caller, RatePolicy.CREATE)
    try:
        may_be_repeat = _read_idempotency_key(request) is not None
    except IdempotencyKeyInvalid:
        limiter.take(caller, RatePolicy.CREATE)
        raise
    if not may_be_repeat:
        limiter.take(caller, RatePolicy.CREATE)
    caller.require(Scope.WRITE_GENERATIONS)
    return caller


CanCreateGenerations = Annotated[Caller, Depends(_creator)]


@declares(TooManyAtOnce)
async def _generation_body(
    request: Request, caller: CanCreateGenerations, services: ServicesDep, key: IdempotencyKey
) -> GenerationCreate:
    try:
        return await read_generation(request, caller.tenant_id, services.large_bodies)
    except (InvalidInput, UnsupportedMediaType, RequestValidationError, HTTPException):
        if key is not None:  # it is no repeat of what was accepted
            services.rate_limiter.take(caller, RatePolicy.CREATE)
        raise


GenerationBody = Annotated[GenerationCreate, Depends(_generation_body)]
