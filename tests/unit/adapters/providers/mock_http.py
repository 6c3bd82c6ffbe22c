"""An HTTP client with fixed responses that records its requests."""

import json
from collections.abc import Mapping
from typing import Any

import httpx

from adapters.transport.http import HttpClient

MockResponse = httpx.Response | httpx.HTTPError


class MockHttp:
    """Responses by `METHOD address` without its query; `requests` has every request that was sent."""

    def __init__(self, answers: Mapping[str, MockResponse] | MockResponse) -> None:
        self.requests: list[httpx.Request] = []
        self._answers = answers
        self.http = HttpClient(httpx.AsyncClient(transport=httpx.MockTransport(self._answer)))

    def _answer(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        if isinstance(self._answers, Mapping):
            found = self._answers[f"{request.method} {request.url.copy_with(query=None)}"]
        else:
            found = self._answers
        if isinstance(found, httpx.HTTPError):
            raise found
        return found


def body_of(request: httpx.Request) -> dict[str, Any]:
    read: dict[str, Any] = json.loads(request.content)
    return read
