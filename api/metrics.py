"""The API's own metrics. docs/operations.md lists every name."""

import time

from prometheus_client import Counter, Gauge, Histogram
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.http.client import client_of

accepted = Counter("darkroom_generations_accepted", "New generations, by model.", ["model"])
deferred = Counter(
    "darkroom_deferred", "Starts and signals that were left to the reconciler, by kind.", ["kind"]
)
webhooks = Counter(
    "darkroom_webhooks", "Authentic webhooks, by provider and outcome.", ["provider", "outcome"]
)
requests = Histogram(
    "darkroom_http_request_seconds", "Requests, by route, method and status.", ["route", "method", "status"]
)
shed = Counter(
    "darkroom_requests_shed",
    "Requests that were refused because too many were in progress, by group.",
    ["group"],
)
waiting = Gauge("darkroom_waiting_requests", "Streams, and requests that wait for the end of a generation.")
connections_closed = Counter(
    "darkroom_connections_closed",
    "Connections that were closed for what their client did, by reason.",
    ["reason"],
)
wrong_statements = Counter(
    "darkroom_wrong_statements", "Statements of a month that were read and did not add up."
)
failed_keys = Counter(
    "darkroom_failed_keys", "Requests with a wrong API key, by how that was found.", ["outcome"]
)

# The state of the whole installation, the same in every process: see api/services/state_gauges.py.
open_generations = Gauge("darkroom_open_generations", "Open generations, by stage.", ["stage"])
oldest_seconds = Gauge(
    "darkroom_oldest_open_seconds", "How long the oldest open generation of a stage is in it.", ["stage"]
)
slots = Gauge("darkroom_slots", "Attempts in slots, waiting and pushed back.", ["provider", "state"])
closed = Gauge("darkroom_provider_closed", "1 while a provider, or a model there, is closed.", ["provider"])
held_credits = Gauge("darkroom_held_credits", "Credits that are held.", ["tenants"])
flagged = Gauge("darkroom_flagged_generations", "Generations that an operator is to look at.", ["tenants"])
uncharged_credits = Gauge(
    "darkroom_uncharged_credits",
    "Prices of what was canceled late or refused today and not charged: of all tenants, and the most of one.",
    ["tenants"],
)
_METHODS = ("GET", "HEAD", "POST", "PUT", "DELETE")
usage_unsent = Gauge(
    "darkroom_usage_events_unsent", "Charges that the billing system has not taken.", ["receiver"]
)
usage_oldest_seconds = Gauge(
    "darkroom_usage_events_oldest_seconds", "How long ago the oldest of them was charged.", ["receiver"]
)
books_disagreements = Gauge(
    "darkroom_books_disagreements", "What the last check of the books found, by comparison.", ["check"]
)
books_age_seconds = Gauge(
    "darkroom_books_checked_age_seconds", "How long ago the books were checked.", ["tenants"]
)
STATE = (
    *(open_generations, oldest_seconds, slots, closed, held_credits, flagged, uncharged_credits),
    *(usage_unsent, usage_oldest_seconds, books_disagreements, books_age_seconds),
)


class RequestMetricsMiddleware:
    """Times each request under its route's template, so that ids make no labels."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started, status = time.perf_counter(), 500

        async def noting_status(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, noting_status)
        finally:
            route = getattr(scope.get("route"), "path", "unmatched")
            method = scope["method"] if scope["method"] in _METHODS else "other"
            if not client_of(scope).has_waited:
                requests.labels(route, method, str(status)).observe(time.perf_counter() - started)
