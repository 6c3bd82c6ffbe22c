"""What a route may ask for."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request

from api.intake import Intake
from api.live import LiveViews
from api.readiness import Readiness
from api.views import Views
from domain.access import Caller, Scope
from domain.catalogue import Catalogue
from domain.errors import GenerationNotFound, IdempotencyKeyInvalid, Unauthenticated
from domain.ports import Authenticator, CreditAccounts, Generations, ObjectStore, WebhookReader

_LONGEST_KEY = 255


@dataclass(frozen=True)
class Parts:
    """Everything behind the routes, chosen once by api/app.py."""

    catalogue: Catalogue
    generations: Generations
    credits: CreditAccounts
    authenticator: Authenticator
    intake: Intake
    live: LiveViews
    store: ObjectStore
    readers: Mapping[str, WebhookReader]
    views: Views
    readiness: Readiness
    master_key: str


def _parts(request: Request) -> Parts:
    parts: Parts = request.app.state.parts
    return parts


PartsDep = Annotated[Parts, Depends(_parts)]


async def _caller(request: Request, parts: PartsDep) -> Caller:
    headers = request.headers.getlist("authorization")
    scheme, _, api_key = (headers[0] if len(headers) == 1 else "").partition(" ")
    if scheme.lower() != "bearer":
        raise Unauthenticated
    return await parts.authenticator.authenticate(api_key)


AnyCaller = Annotated[Caller, Depends(_caller)]


def _with_scope(scope: Scope) -> Callable[[Caller], Caller]:
    def check(caller: AnyCaller) -> Caller:
        caller.require(scope)
        return caller

    return check


Reader = Annotated[Caller, Depends(_with_scope(Scope.READ_GENERATIONS))]
Writer = Annotated[Caller, Depends(_with_scope(Scope.WRITE_GENERATIONS))]
CreditReader = Annotated[Caller, Depends(_with_scope(Scope.READ_CREDITS))]


def _idempotency_key(request: Request) -> str | None:
    """The header, bare or quoted as the draft standard writes it; None if it was not sent."""
    given = request.headers.getlist("idempotency-key")
    if not given:
        return None
    key = given[0].strip()
    if len(key) > 1 and key[0] == key[-1] == '"':
        key = key[1:-1]
    if len(given) > 1 or not 1 <= len(key) <= _LONGEST_KEY or not (key.isascii() and key.isprintable()):
        raise IdempotencyKeyInvalid
    return key


def _generation_id(generation_id: str) -> str:
    """As it stands in the path, unless it holds a NUL, which PostgreSQL cannot be asked about."""
    if "\0" in generation_id:
        raise GenerationNotFound
    return generation_id


GenerationId = Annotated[str, Depends(_generation_id)]
IdempotencyKey = Annotated[str | None, Depends(_idempotency_key)]
