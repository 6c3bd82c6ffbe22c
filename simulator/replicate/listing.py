"""The list of predictions: a window of time, a hundred to a page, cursors in both directions."""

import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

from starlette.datastructures import QueryParams
from starlette.requests import Request

from simulator.core.files import Files
from simulator.core.jobs import Job
from simulator.core.rows import Window
from simulator.core.store import Store
from simulator.replicate.errors import invalid_input
from simulator.replicate.responses import prediction

PAGE = 100
_CURSOR = re.compile(r"(above|below)=(\d{1,18})")


async def listed(store: Store, files: Files, request: Request) -> dict[str, Any]:
    """Return a page, newest first. Raises Rejected."""
    query, base_url = request.query_params, files.base_url(request)
    window = _window(query)
    found = store.page(window, PAGE)
    known = {key: query[key] for key in ("created_after", "created_before") if key in query}

    def address(side: str, number: int) -> str:
        cursor = urlsafe_b64encode(f"{side}={number}".encode()).decode()
        return f"{base_url}/v1/predictions?{urlencode({**known, 'cursor': cursor})}"

    bounds = _neighbours(store, window, found)
    return {
        "next": address("below", bounds[1]) if bounds[1] is not None else None,
        "previous": address("above", bounds[0]) if bounds[0] is not None else None,
        "results": [await prediction(job, files, base_url) for _, job in found],
    }


def _neighbours(store: Store, window: Window, found: list[tuple[int, Job]]) -> tuple[int | None, int | None]:
    """Return the numbers of the page's newest and oldest job, if there are others beyond them."""
    if not found:
        return None, None
    newest, oldest = found[0][0], found[-1][0]
    newer = store.page(replace(window, above=newest, below=None), 1)
    older = store.page(replace(window, above=None, below=oldest), 1)
    return (newest if newer else None), (oldest if older else None)


def _window(query: QueryParams) -> Window:
    window = Window(_unix(query, "created_after", 0.0), _unix(query, "created_before", float("inf")))
    if "cursor" not in query:
        return window
    try:
        match = _CURSOR.fullmatch(urlsafe_b64decode(query["cursor"]).decode())
    except ValueError:
        match = None
    if match is None:
        raise invalid_input("cursor", "not a cursor of this list")
    number = int(match[2])
    return replace(window, above=number) if match[1] == "above" else replace(window, below=number)


def _unix(query: QueryParams, name: str, default: float) -> float:
    if name not in query:
        return default
    try:
        moment = datetime.fromisoformat(query[name])
    except ValueError as error:
        raise invalid_input(name, "must be a date and a time in ISO 8601") from error
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
