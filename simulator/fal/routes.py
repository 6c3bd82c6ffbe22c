"""The routes of fal's queue: submit, status, event stream, result, cancel, and the keys of its webhooks."""

import asyncio
import hmac
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from simulator.core.faults.kinds import Phase
from simulator.core.faults.switches import Target
from simulator.core.jobs import Job
from simulator.core.provider import Context
from simulator.core.wire import answer, dump
from simulator.fal import responses
from simulator.fal.errors import failure_of
from simulator.fal.submit import SubmitHandler
from simulator.fal.webhooks import Signer

STREAM_INTERVAL_SECONDS = 0.1
MAX_STREAM_SECONDS = 600
_REQUEST = "/{endpoint:path}/requests/{request_id}"

Handler = Callable[[Request], Awaitable[Response]]
JobHandler = Callable[[Request, Job], Awaitable[Response]]


class Queue:
    """fal's queue. Every route except that of the keys requires `Authorization: Key …`."""

    def __init__(self, context: Context, handler: SubmitHandler, signer: Signer) -> None:
        self._store = context.store
        self._switches = context.switches
        self._files = context.files
        self._key = context.options.key
        self._handler = handler
        self._signer = signer

    @property
    def routes(self) -> list[Route]:
        """Return the routes. Request addresses use `owner/app`, with or without sub-path and `/response`."""
        return [
            Route("/.well-known/jwks.json", self._jwks, methods=["GET"]),
            Route(f"{_REQUEST}/status/stream", self._job_route(self._stream), methods=["GET"]),
            Route(f"{_REQUEST}/status", self._job_route(self._status), methods=["GET"]),
            Route(f"{_REQUEST}/cancel", self._job_route(self._cancel), methods=["PUT"]),
            Route(f"{_REQUEST}/response", self._job_route(self._result), methods=["GET"]),
            Route(_REQUEST, self._job_route(self._result), methods=["GET"]),
            Route("/{endpoint:path}", self._guarded(self._submit), methods=["POST"]),
        ]

    def _guarded(self, handler: Handler) -> Handler:
        async def guarded(request: Request) -> Response:
            if not self._is_let_in(request.headers.get("authorization", "")):
                if request.method == "POST":
                    self._store.log("submit_rejected", None, "", status=401)
                return answer({"detail": "Authentication is required to access this application"}, 401)
            return await handler(request)

        return guarded

    def _job_route(self, handler: JobHandler) -> Handler:
        async def found(request: Request) -> Response:
            job = self._store.job(request.path_params["request_id"])
            endpoint = request.path_params["endpoint"]
            if job is None or responses.app_id(endpoint) != responses.app_id(job.endpoint):
                return answer({"status": "NOT_FOUND"}, 404)
            return await handler(request, job)

        return self._guarded(found)

    def _is_let_in(self, header: str) -> bool:
        scheme, _, key = header.partition(" ")
        if scheme.lower() != "key" or not key.strip():
            return False
        return self._key is None or hmac.compare_digest(key.strip().encode(), self._key.encode())

    async def _jwks(self, _request: Request) -> Response:
        return answer(self._signer.jwks(), headers={"Cache-Control": "public, max-age=3600"})

    async def _submit(self, request: Request) -> Response:
        endpoint = request.path_params["endpoint"].strip("/")
        if endpoint.count("/") < 1 or "//" in endpoint:
            return answer({"detail": f"Application {endpoint} not found"}, 404)
        return await self._handler.submit(request)

    async def _status(self, request: Request, job: Job) -> Response:
        active = self._switches.active_faults(Phase.STATUS, Target(job.endpoint, job.prompt, job.id))
        if throttled := active.get("status_429"):
            headers = {"Retry-After": f"{throttled.number('retry_after'):g}"}
            return answer({"detail": "Too many requests"}, 429, headers)
        if "status_500" in active:
            return answer({"detail": "Internal server error"}, 500)
        body = responses.status(job, self._files.base_url(request), with_logs=_with_logs(request))
        return answer(body, 200 if body["status"] == "COMPLETED" else 202)

    async def _stream(self, request: Request, job: Job) -> Response:
        events = self._events(job.id, self._files.base_url(request), with_logs=_with_logs(request))
        return StreamingResponse(
            events, media_type="text/event-stream", headers={"Cache-Control": "no-store"}
        )

    async def _events(self, job_id: str, base_url: str, *, with_logs: bool) -> AsyncIterator[bytes]:
        """Send each status as it changes, until COMPLETED."""
        last: dict[str, Any] | None = None
        for _ in range(int(MAX_STREAM_SECONDS / STREAM_INTERVAL_SECONDS)):
            job = self._store.job(job_id)
            if job is None:
                return
            body = responses.status(job, base_url, with_logs=with_logs)
            if body != last:
                yield b"data: " + dump(body) + b"\n\n"
                last = body
            if body["status"] == "COMPLETED":
                return
            await asyncio.sleep(STREAM_INTERVAL_SECONDS)

    async def _result(self, request: Request, job: Job) -> Response:
        if job.is_open():
            return answer({"detail": "Request is still in progress"}, 400)
        failure = failure_of(job)
        headers = {"x-fal-request-id": job.id}
        if failure is not None:
            response = answer(failure.body, failure.status, headers | failure.headers)
        else:
            body = await responses.result(job, self._files, self._files.base_url(request))
            response = answer(
                body, headers={**headers, "x-fal-billable-units": responses.billable_units(job)}
            )
        self._store.log("result_served", job.id, job.prompt, status=response.status_code)
        return response

    async def _cancel(self, _request: Request, job: Job) -> Response:
        if not job.is_open():
            status, body = 400, {"status": "ALREADY_COMPLETED"}
        else:
            status, body = 202, {"status": "CANCELLATION_REQUESTED"}
            active = self._switches.active_faults(Phase.CANCEL, Target(job.endpoint, job.prompt, job.id))
            if "ignore_cancel" not in active:
                self._store.cancel_job(job.id)
        self._store.log("cancel", job.id, job.prompt, status=status)
        return answer(body, status)


def _with_logs(request: Request) -> bool:
    return request.query_params.get("logs", "").lower() in ("1", "true")
