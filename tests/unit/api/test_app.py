"""What is described of the API, and which port serves what."""

import re
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from pydantic import ValidationError

from api.app import _ROUTERS, PUBLIC_PATHS, BodyLimits, PublicAPI, build_app, build_internal_app
from api.http.load_limits import LoadLimits
from api.http.schemas.generations import GenerationCreate
from api.server.connections import ConnectionLimits
from composition import ServiceSettings
from composition.api import _connection_limits, _load_limits
from tests.support.description import operations

OPERATORS_PATHS = ("/readyz", "/metrics", "/docs", "/docs/style.css", "/docs/try.js", "/openapi.json")


class Nothing:
    """Readiness and gauges without anything behind them."""

    async def check_all(self) -> tuple[bool, dict[str, str]]:
        return True, {}

    async def refresh(self) -> None:
        pass


def both(public_paths: tuple[str, ...] = PUBLIC_PATHS) -> tuple[PublicAPI, FastAPI]:
    public = build_app(BodyLimits(1, 1), public_paths=public_paths)
    internal = build_internal_app(public)
    for app in (public, internal):
        app.state.services = SimpleNamespace(readiness=Nothing(), state_gauges=Nothing())
    return public, internal


async def get(app: FastAPI, path: str) -> httpx.Response:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://api") as http:
        return await http.get(path)


@pytest.fixture(scope="module")
def described() -> dict[str, Any]:
    return build_app(BodyLimits(1_000_000, 1_000_000)).openapi()


def test_every_field_of_a_generation_is_described(described: dict[str, Any]) -> None:
    body = described["paths"]["/v1/generations"]["post"]["requestBody"]
    [name] = body["content"]["application/json"]["schema"].values()
    schema = described["components"]["schemas"][name.rpartition("/")[2]]

    assert set(schema["properties"]) == set(GenerationCreate.model_fields)


def test_an_upload_is_described_as_a_file(described: dict[str, Any]) -> None:
    body = described["paths"]["/v1/files"]["post"]["requestBody"]

    assert body["content"]["multipart/form-data"]["schema"]["properties"]["file"]["format"] == "binary"


@pytest.mark.parametrize("path", ["/healthz", *OPERATORS_PATHS])
async def test_the_internal_port_serves_all_that_operators_read(path: str) -> None:
    _, internal = both(())
    assert (await get(internal, path)).status_code == 200


@pytest.mark.parametrize("public_paths", [(), PUBLIC_PATHS, ("/metrics",), ("/docs",)], ids=str)
async def test_the_public_port_serves_what_the_operator_wants(public_paths: tuple[str, ...]) -> None:
    public, _ = both(public_paths)
    served = {path for path in OPERATORS_PATHS if (await get(public, path)).status_code == 200}

    parts = {"/docs/style.css", "/docs/try.js"} if "/docs" in public_paths else set()
    assert served == set(public_paths) | parts
    assert (await get(public, "/healthz")).status_code == 200


@pytest.mark.parametrize("path", ["/v1/generations", "/v1/models", "/v1/webhooks/fal/gen_1/token"])
async def test_the_internal_port_serves_no_client(path: str) -> None:
    _, internal = both()
    assert (await get(internal, path)).status_code == 404


async def test_both_ports_describe_the_public_api_and_the_internal_one_that_of_operators() -> None:
    public, internal = both()
    outside = (await get(public, "/openapi.json")).json()
    inside = (await get(internal, "/openapi.json")).json()

    assert "/v1/generations" in outside["paths"]
    assert "/v1/admin/" not in str(outside)
    assert "operator" not in outside["components"]["securitySchemes"]
    paths = inside["paths"]
    assert {path: paths[path] for path in paths if "/v1/admin/" not in path} == outside["paths"]
    operators = public.operators.openapi()["paths"]
    assert {path: paths[path] for path in paths if "/v1/admin/" in path} == operators
    schemas = outside["components"]["schemas"]
    assert {name: inside["components"]["schemas"][name] for name in schemas} == schemas


async def test_the_page_of_operators_has_their_routes() -> None:
    public, internal = both()
    assert "/v1/admin/grants" in (await get(internal, "/docs")).text
    assert "/v1/admin/" not in (await get(public, "/docs")).text


@pytest.mark.parametrize("path", ["/openapi.json", "/docs"])
async def test_the_description_is_written_once(path: str) -> None:
    described: list[dict[str, Any]] = []
    public = build_app(BodyLimits(1, 1), public_paths=())

    def describe() -> dict[str, Any]:
        described.append(public.openapi())
        return described[-1]

    public.include_router(_ROUTERS[path](describe))

    first, second = await get(public, path), await get(public, path)

    assert (first.content, len(described)) == (second.content, 1)


async def test_the_page_loads_nothing_from_another_host() -> None:
    public, internal = both()
    page = await get(public, "/docs")

    loaded = re.findall(r"<(?:link|script|img|iframe)[^>]*", page.text)
    assert loaded == [
        '<link rel="stylesheet" href="docs/style.css"',
        '<script src="docs/try.js" defer',
    ]
    assert not re.search(r"<style|style=| on\w+=|javascript:", page.text)
    policy = page.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self';")
    assert "http" not in policy
    assert "unsafe" not in policy
    for word in ("POST /v1/generations", "Idempotency-Key", "aspect_ratio", "multipart/form-data"):
        assert word.lower() in page.text.lower()
    # Where no client is served, nothing can be tried.
    assert "<script" not in (await get(internal, "/docs")).text


async def test_the_page_shows_each_operation_with_a_call_and_its_errors() -> None:
    public, _ = both()
    page = (await get(public, "/docs")).text

    for operation in operations():
        assert f'<section id="{operation.id}"' in page
    assert page.count('<pre class="curl">') == len(operations())
    assert "curl -X GET /v1/models/flux-schnell" in page
    assert "&quot;Authorization: Bearer $API_KEY&quot;" in page
    assert "<code>too_late_to_cancel</code>" in page


async def test_the_script_keeps_the_key_nowhere_and_writes_no_markup() -> None:
    public, _ = both()
    script = await get(public, "/docs/try.js")

    assert script.headers["content-type"].startswith("text/javascript")
    assert not re.search(r"localStorage|sessionStorage|cookie|innerHTML|eval\(|https?:", script.text)


async def test_what_was_a_page_of_another_host_is_gone() -> None:
    public, internal = both()
    for app in (public, internal):
        assert (await get(app, "/redoc")).status_code == 404


def settings(**values: Any) -> ServiceSettings:
    required = {"master_key": "m" * 32, "database_url": "postgresql://u@h/d", "s3_access_key": "access"}
    return ServiceSettings(**required, s3_secret_key="s" * 8, **values)


def test_the_setting_of_public_paths_has_the_applications_default() -> None:
    assert settings().api_public_paths == PUBLIC_PATHS
    assert settings(api_public_paths="/metrics, /docs").api_public_paths == ("/metrics", "/docs")
    assert settings(api_public_paths="").api_public_paths == ()


@pytest.mark.parametrize(
    "wrong",
    [
        {"api_public_paths": "/metric"},
        {"api_public_paths": "/v1/models"},
        {"trusted_proxies": "proxy"},
        {"trusted_proxies": "10.0.0.0/99"},
        {"api_max_connections": 0},
    ],
)
def test_what_cannot_be_meant_stops_the_process(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match=next(iter(wrong))):
        settings(**wrong)


def test_the_defaults_of_the_limits_are_those_of_the_settings() -> None:
    given = settings()
    assert _load_limits(given) == LoadLimits()
    assert _connection_limits(given) == ConnectionLimits()
