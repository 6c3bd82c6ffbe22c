"""The dependencies of routes.

Each is a coroutine: FastAPI would call a plain function on a thread for every request.
"""

import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, HTTPException, Request, status
from fastapi.exceptions import RequestValidationError
from pydantic import ValidationError

from api.http.client import client_of
from api.http.schemas import GenerationCreate
from api.http.serializers import GenerationSerializer
from api.services.generations import GenerationService
from api.services.input_files import FILE_ID, InputFileService
from api.services.key_guard import KeyGuard
from api.services.readiness import Readiness
from api.services.state_gauges import StateGauges
from api.services.workflow_status import WorkflowStatus
from domain.auth import Caller, Scope
from domain.catalog import Catalog
from domain.errors import (
    FileNotFound,
    GenerationNotFound,
    IdempotencyKeyInvalid,
    InvalidInput,
    Unauthenticated,
)
from domain.ports import (
    CreditAccounts,
    Generations,
    InputFiles,
    ObjectStore,
    ProviderSlots,
    WebhookReader,
)

_MAX_KEY_CHARACTERS = 255
# More than any field takes; the schema checks each field's own, smaller limit.
_MAX_ITEMS = 50
_STRUCTURE = (b"[", b"{", b",", b":")
_MAX_STRUCTURE = 60_000


@dataclass(frozen=True)
class Services:
    """Everything behind the routes, built once by composition/api.py."""

    catalog: Catalog
    generations: Generations
    credits: CreditAccounts
    key_guard: KeyGuard
    input_files: InputFiles
    slots: ProviderSlots
    input_file_service: InputFileService
    generation_service: GenerationService
    workflow_status: WorkflowStatus
    store: ObjectStore
    webhook_readers: Mapping[str, WebhookReader]
    serializer: GenerationSerializer
    readiness: Readiness
    state_gauges: StateGauges
    master_key: str


async def _services(request: Request) -> Services:
    services: Services = request.app.state.services
    return services


ServicesDep = Annotated[Services, Depends(_services)]


async def _caller(request: Request, services: ServicesDep) -> Caller:
    headers = request.headers.getlist("authorization")
    scheme, _, api_key = (headers[0] if len(headers) == 1 else "").partition(" ")
    if scheme.lower() != "bearer":
        raise Unauthenticated
    client = client_of(request)
    caller = await services.key_guard.identify_caller(api_key, client.group)
    await client.mark_authenticated(caller.tenant_id)
    return caller


AnyCaller = Annotated[Caller, Depends(_caller)]


def _with_scope(scope: Scope) -> Callable[[Caller], Awaitable[Caller]]:
    async def check(caller: AnyCaller) -> Caller:
        caller.require(scope)
        return caller

    return check


CanReadGenerations = Annotated[Caller, Depends(_with_scope(Scope.READ_GENERATIONS))]
CanWriteGenerations = Annotated[Caller, Depends(_with_scope(Scope.WRITE_GENERATIONS))]
CanReadCredits = Annotated[Caller, Depends(_with_scope(Scope.READ_CREDITS))]


async def _idempotency_key(request: Request) -> str | None:
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


async def _generation_id(generation_id: str) -> str:
    """Return the id from the path. Raises GenerationNotFound for a NUL, which PostgreSQL cannot compare."""
    if "\0" in generation_id:
        raise GenerationNotFound
    return generation_id


async def _generation_body(request: Request, _: CanWriteGenerations) -> GenerationCreate:
    """Read the body by hand: FastAPI would parse megabytes before it authenticates the caller."""
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    body = await request.body()
    if media_type != "application/json" or not body:
        raise InvalidInput(errors=(("body", "a JSON object, sent as application/json"),))
    _refuse_many_values(body)
    try:
        given = json.loads(body)
        _refuse_many_items(given)
        return GenerationCreate.model_validate(given)
    except ValidationError as error:
        raise RequestValidationError(error.errors(include_input=False)) from error
    except (ValueError, RecursionError) as error:
        raise HTTPException(status.HTTP_400_BAD_REQUEST) from error


def _refuse_many_values(body: bytes) -> None:
    """Refuse what would take seconds to parse, during which nobody else is served.

    Images as data URIs are long and have none of these characters; a prompt may have thousands.
    """
    if sum(body.count(character) for character in _STRUCTURE) > _MAX_STRUCTURE:
        raise InvalidInput(errors=(("body", f"at most {_MAX_STRUCTURE} brackets, commas and colons"),))


def _refuse_many_items(given: object) -> None:
    """Refuse what would make validation write a hundred thousand errors."""
    if not isinstance(given, dict):
        return
    if len(given) > _MAX_ITEMS:
        raise InvalidInput(errors=(("body", f"at most {_MAX_ITEMS} fields"),))
    for name in GenerationCreate.model_fields:
        value = given.get(name)
        if isinstance(value, dict | list) and len(value) > _MAX_ITEMS:
            what = "fields" if isinstance(value, dict) else "items"
            raise InvalidInput(errors=((name, f"at most {_MAX_ITEMS} {what}"),))


async def _file_id(file_id: str) -> str:
    if not FILE_ID.fullmatch(file_id):
        raise FileNotFound
    return file_id


GenerationBody = Annotated[GenerationCreate, Depends(_generation_body)]
FileId = Annotated[str, Depends(_file_id)]
GenerationId = Annotated[str, Depends(_generation_id)]
IdempotencyKey = Annotated[str | None, Depends(_idempotency_key)]
