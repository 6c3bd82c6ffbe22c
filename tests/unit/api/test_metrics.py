"""Requests are counted under their method and route, and under nothing that a client can invent."""

import pytest
from fastapi import FastAPI
from httpx import ASGITransport, AsyncClient
from prometheus_client import REGISTRY

from api.metrics import RequestMetricsMiddleware


def counted(method: str) -> float:
    labels = {"route": "/things/{thing_id}", "method": method, "status": "200"}
    return REGISTRY.get_sample_value("darkroom_http_request_seconds_count", labels) or 0.0


@pytest.mark.parametrize(
    ("method", "label"), [("GET", "GET"), ("POST", "POST"), ("DELETE", "DELETE"), ("BREW", "other")]
)
async def test_methods_of_the_api_have_names_and_all_else_is_other(method: str, label: str) -> None:
    app = FastAPI()

    @app.api_route("/things/{thing_id}", methods=[method])
    async def respond(thing_id: str) -> str:
        return thing_id

    app.add_middleware(RequestMetricsMiddleware)
    before = counted(label)
    async with AsyncClient(transport=ASGITransport(app), base_url="http://api") as client:
        assert (await client.request(method, "/things/1")).status_code == 200

    assert counted(label) - before == 1
