"""Every operation that the API describes, with the ids of another tenant: as if there were none.

The description is the list of what is tested, so a new route is tested by being there. One that names an id
of a new kind fails until `owned.py` can make such an id. test_examples.py shows that the owner is served.
"""

from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager

import httpx
import pytest
from sqlalchemy import Connection, Engine, event

from tests.integration.api.owned import (
    BODY_IDS,
    MAKERS,
    SHARED_PARAMETERS,
    Call,
    Owner,
    books_of,
    calls_of,
    named_in_body,
    named_in_query,
    owner_of,
    unknown_id,
)
from tests.integration.api.service import Service
from tests.support.description import Operation, operations

# A provider has no key: the token in the path is a signature of this generation's id.
WITHOUT_KEY = {"receive_webhook", "healthz", "readyz"}
# What differs between any two responses.
OF_EVERY_RESPONSE = ("date", "ratelimit", "x-request-id")
KEYED = [each for each in operations() if each.scopes is not None]


def names_of(operation: Operation) -> list[str]:
    """Return the ids that a tenant may have, of all that the path, the query and the body name."""
    in_body = (BODY_IDS[name] for name in named_in_body(operation))
    found = dict.fromkeys([*operation.path_parameters, *named_in_query(operation), *in_body])
    return [name for name in found if name not in SHARED_PARAMETERS]


CASES = [
    pytest.param(operation, name, id=f"{operation.id}-{name}")
    for operation in KEYED
    for name in (names_of(operation) if {*named_in_body(operation)} <= BODY_IDS.keys() else ())
]


def test_what_needs_no_key_is_known() -> None:
    assert {each.id for each in operations() if each.scopes is None} == WITHOUT_KEY


@pytest.mark.parametrize("operation", KEYED, ids=lambda each: each.id)
def test_every_id_that_an_operation_names_can_be_made(operation: Operation) -> None:
    """Otherwise nothing would test whose it is. See `MAKERS` and `BODY_IDS` in owned.py."""
    assert {*named_in_body(operation)} <= BODY_IDS.keys()
    assert {*names_of(operation)} <= MAKERS.keys()


@pytest.fixture(scope="module")
async def owner(service: Service) -> AsyncIterator[Owner]:
    owner = await owner_of(await service.tenant())
    yield owner
    await owner.close()


def refuses_in_words(response: httpx.Response) -> bool:
    """Return whether it is an estimate of what would be refused, which is no refusal itself."""
    return response.request.url.path.endswith("/estimate") and bool(response.json()["would_be_refused"])


@pytest.mark.parametrize(("operation", "name"), CASES)
async def test_another_tenants_id_is_like_none(
    service: Service, owner: Owner, operation: Operation, name: str
) -> None:
    other = await service.tenant()
    before = await books_of(service, owner.tenant), await books_of(service, other)

    for state, real in owner.ids[name].items():
        for call in naming(operation, owner, name):
            unknown = unknown_id(real)
            expected = seen(await call.with_id(name, unknown).send(other.http), unknown)
            refused = await call.with_id(name, real).send(other.http)

            assert seen(refused, real) == expected, state
            assert refused.is_client_error or refuses_in_words(refused), state

    assert (await books_of(service, owner.tenant), await books_of(service, other)) == before


@pytest.mark.parametrize(("operation", "name"), CASES)
async def test_another_tenants_id_is_looked_up_like_none(
    service: Service, owner: Owner, operation: Operation, name: str
) -> None:
    """The same statements on both, so that the time tells nothing either."""
    other = await service.tenant()
    for real in owner.ids[name].values():
        for call in naming(operation, owner, name):
            unknown = unknown_id(real)
            with statements_about(service, real, unknown) as (of_real, of_unknown):
                await call.with_id(name, unknown).send(other.http)
                await call.with_id(name, real).send(other.http)
            assert of_real == of_unknown
            assert of_real


def naming(operation: Operation, owner: Owner, name: str) -> Iterator[Call]:
    """Yield the calls of an operation that name such an id."""
    for call in calls_of(operation, owner):
        in_body = any(BODY_IDS.get(each) == name for each in call.body or {})
        if name in operation.path_parameters or in_body or name in call.query:
            yield call


def seen(answer: httpx.Response, id_: str) -> tuple[int, str, dict[str, str]]:
    """Return all that a client sees of a response, without the id that it sent."""
    headers = {
        name: value.replace(id_, "ID")
        for name, value in answer.headers.items()
        if name not in OF_EVERY_RESPONSE
    }
    return answer.status_code, answer.text.replace(id_, "ID"), headers


@contextmanager
def statements_about(service: Service, first: str, second: str) -> Iterator[tuple[list[str], list[str]]]:
    """Collect the API's statements of the block that are given one id or the other."""
    collected: tuple[list[str], list[str]] = ([], [])
    # The worker's, which is at work on the owner's jobs in the same process.
    workers = service.database._engine.sync_engine.pool

    def note(connection: Connection, __: object, statement: str, parameters: object, *___: object) -> None:
        if connection.engine.pool is workers:
            return
        for id_, statements in zip((first, second), collected, strict=True):
            if id_ in repr(parameters):
                statements.append(statement)

    event.listen(Engine, "before_cursor_execute", note)
    try:
        yield collected
    finally:
        event.remove(Engine, "before_cursor_execute", note)
