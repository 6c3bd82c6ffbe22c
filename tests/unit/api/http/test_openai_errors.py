"""Every error in OpenAI's shape, wherever it comes from."""

from collections.abc import AsyncIterator, Callable

import httpx
import pytest
from fastapi import FastAPI, HTTPException, Request

from api.http import problems
from api.http.openai_errors import OpenAIErrorsMiddleware, mark_generation
from domain import errors
from domain.errors import InvalidInput

PATH, MODELS, OTHER = "/v1/images/generations", "/v1/models", "/v1/generations"


@pytest.fixture
def raised() -> list[Callable[[Request], Exception]]:
    """What the routes raise: the one that a test puts here."""
    return []


@pytest.fixture
async def client(raised: list[Callable[[Request], Exception]]) -> AsyncIterator[httpx.AsyncClient]:
    app = FastAPI()
    problems.install(app)

    async def refuse(request: Request) -> None:
        raise raised[0](request)

    for path in (PATH, MODELS, OTHER):
        app.add_api_route(path, refuse)
    app.add_middleware(OpenAIErrorsMiddleware)
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://api") as client:
        yield client


@pytest.mark.parametrize(
    ("error", "status", "kind", "code"),
    [
        (errors.Unauthenticated(), 401, "invalid_request_error", "invalid_api_key"),
        (errors.ScopeMissing(), 403, "permission_error", "scope_missing"),
        (errors.ModelNotFound(), 404, "invalid_request_error", "model_not_found"),
        (errors.ModelUnavailable(), 404, "invalid_request_error", "model_unavailable"),
        (errors.IdempotencyKeyReused(), 400, "invalid_request_error", "idempotency_key_reused"),
        (errors.IdempotencyKeyInUse(), 409, "conflict_error", "idempotency_key_in_use"),
        (errors.InsufficientCredits(), 429, "insufficient_quota", "insufficient_quota"),
        (errors.RateLimited(), 429, "requests", "rate_limit_exceeded"),
        (errors.DatabaseUnavailable(), 503, "server_error", "database_unavailable"),
        (HTTPException(429), 429, "requests", "too_many_at_once"),
        (RuntimeError("secret"), 500, "server_error", "internal_error"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else None,
)
async def test_an_error_has_openais_status_type_and_code(
    client: httpx.AsyncClient,
    raised: list[Callable[[Request], Exception]],
    error: Exception,
    status: int,
    kind: str,
    code: str,
) -> None:
    raised.append(lambda _: error)
    answer = await client.get(PATH)

    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/json")
    said = answer.json()["error"]
    assert said.keys() == {"message", "type", "param", "code"}
    param = "model" if code.startswith("model_") else None
    assert (said["type"], said["code"], said["param"]) == (kind, code, param)
    assert "secret" not in answer.text


@pytest.mark.parametrize(
    ("field", "param"),
    [("inputs", "image"), ("inputs.2", "image[2]"), ("options.moderation", "moderation"), ("size", "size")],
)
async def test_a_parameter_is_named_as_openai_does(
    client: httpx.AsyncClient, raised: list[Callable[[Request], Exception]], field: str, param: str
) -> None:
    raised.append(lambda _: InvalidInput(errors=((field, "not so"), ("n", "nor so"))))
    answer = await client.get(PATH)

    assert answer.status_code == 400
    assert answer.json()["error"]["param"] == param
    assert answer.json()["error"]["message"] == f"{param}: not so; n: nor so"


@pytest.mark.parametrize("error", [errors.DatabaseUnavailable(), RuntimeError("broken")])
async def test_once_there_is_a_job_every_answer_names_it_and_asks_for_no_repeat(
    client: httpx.AsyncClient, raised: list[Callable[[Request], Exception]], error: Exception
) -> None:
    def failed(request: Request) -> Exception:
        mark_generation(request.scope, "gen_1")
        return error

    raised.append(failed)
    answer = await client.get(PATH)

    assert answer.json()["error"]["generation_id"] == answer.headers["x-generation-id"] == "gen_1"
    assert answer.headers["x-should-retry"] == "false"


@pytest.mark.parametrize("is_passing", [True, False])
async def test_before_there_is_one_only_what_passes_is_repeated(
    client: httpx.AsyncClient, raised: list[Callable[[Request], Exception]], *, is_passing: bool
) -> None:
    raised.append(lambda _: errors.Overloaded() if is_passing else errors.InsufficientCredits())

    assert (await client.get(PATH)).headers["x-should-retry"] == str(is_passing).lower()


async def test_models_have_both_shapes_and_other_routes_are_as_before(
    client: httpx.AsyncClient, raised: list[Callable[[Request], Exception]]
) -> None:
    raised.append(lambda _: errors.Unauthenticated())
    both, other = await client.get(MODELS), await client.get(OTHER)

    assert both.headers["content-type"] == other.headers["content-type"] == "application/problem+json"
    assert both.json()["error"]["code"] == "invalid_api_key"
    assert {name: value for name, value in both.json().items() if name != "error"} == other.json()
