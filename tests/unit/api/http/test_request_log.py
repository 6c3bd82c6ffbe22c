"""Request ids and access lines."""

import logging
from typing import Any

import pytest
import structlog
from fastapi import FastAPI

from api.http.request_log import RequestLogMiddleware, note_caller
from tests.unit.api.client import client_of

SECRETS = "1.0123abcd.feedface"


def application() -> FastAPI:
    app = FastAPI()

    @app.get("/v1/generations/{generation_id}/images/{index}")
    async def image(generation_id: str, index: int) -> dict[str, object]:
        note_caller("ten_1", "key_1")
        return dict(structlog.contextvars.get_contextvars())

    @app.post("/v1/webhooks/{provider}/{generation_id}/{token}")
    async def webhook(provider: str) -> None:
        raise RuntimeError("broken")

    app.add_middleware(RequestLogMiddleware)
    return app


@pytest.fixture(autouse=True)
def _at_debug(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "darkroom.access")


def lines(caplog: pytest.LogCaptureFixture) -> list[dict[str, Any]]:
    """Return the fields of every access line."""
    return [record.__dict__["fields"] for record in caplog.records if record.name == "darkroom.access"]


async def test_a_request_has_an_id_on_its_response_and_on_its_lines(caplog: pytest.LogCaptureFixture) -> None:
    async with client_of(application()) as http:
        first, second = [await http.get("/v1/generations/gen_1/images/0?signature=abc") for _ in range(2)]
    assert first.headers["x-request-id"] != second.headers["x-request-id"]
    assert first.json() == {
        "request_id": first.headers["x-request-id"],
        "tenant_id": "ten_1",
        "key_id": "key_1",
    }
    found = lines(caplog)
    assert len(found) == 2
    assert found[0].pop("milliseconds") >= 0
    assert found[0] == {
        "method": "GET",
        "route": "/v1/generations/{generation_id}/images/{index}",
        "status": 200,
        "client": "127.0.0.1",
        "generation_id": "gen_1",
        "index": "0",
    }


@pytest.mark.parametrize(
    ("given", "is_kept"),
    [
        ("0123-abc_DEF.9", True),
        ("x" * 64, True),
        ("x" * 65, False),
        ("short", False),
        ("", False),
        ("with space", False),
        ("forged\tline=1", False),
    ],
)
async def test_an_id_of_the_client_is_kept_if_it_is_harmless(given: str, is_kept: bool) -> None:
    async with client_of(application()) as http:
        answer = await http.get("/v1/generations/gen_1/images/0", headers={"X-Request-Id": given})
    assert (answer.headers["x-request-id"] == given) is is_kept
    assert is_kept or answer.headers["x-request-id"].startswith("req_")


async def test_neither_tokens_nor_signatures_are_logged(caplog: pytest.LogCaptureFixture) -> None:
    async with client_of(application()) as http:
        await http.get(f"/v1/generations/gen_1/images/0?signature={SECRETS}")
        with pytest.raises(RuntimeError):
            await http.post(f"/v1/webhooks/fal/gen_1/{SECRETS}")
        await http.get(f"/nothing/{SECRETS}")
    found = lines(caplog)
    assert [line["status"] for line in found] == [200, 500, 404]
    assert [line["route"] for line in found][1:] == [
        "/v1/webhooks/{provider}/{generation_id}/{token}",
        "unmatched",
    ]
    assert SECRETS not in str([record.__dict__ for record in caplog.records if "darkroom" in record.name])


async def test_health_checks_are_logged_for_debugging_only(caplog: pytest.LogCaptureFixture) -> None:
    app = application()

    @app.get("/healthz")
    async def healthz() -> None: ...

    with caplog.at_level(logging.INFO, "darkroom.access"):
        async with client_of(app) as http:
            answer = await http.get("/healthz")
    assert "x-request-id" in answer.headers
    assert lines(caplog) == []
