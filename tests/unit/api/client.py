"""A client of an application, without a server."""

import httpx
from starlette.types import ASGIApp

from tests.support.time_limits import scaled


def client_of(app: ASGIApp) -> httpx.AsyncClient:
    return httpx.AsyncClient(
        transport=httpx.ASGITransport(app), base_url="http://api.test", timeout=scaled(10), trust_env=False
    )
