"""The routes of fal's queue: submit, status, event stream, result, cancel, and the keys of its webhooks."""

import asyncio
import hmac
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from simulator.fal import answers
from simulator.fal.errors import failure_of
from simulator.fal.submit import Desk
from simulator.fal.webhooks import Signer
from simulator.fault_kinds import Phase
from simulator.faults import Target
from simulator.jobs import Job
from simulator.provider import Workbench
from simulator.wire import answer, dump

STREAM_INTERVAL_SECONDS = 0.1
MAX_STREAM_SECONDS = 600
_REQUEST = "/{endpoint:path}/requests/{request_id}"

Handler = Callable[[Request], Awaitable[Response]]
JobHandler = Callable[[Request, Job], Awaitable[Response]]


class Queue:
    """Every route but the one for the keys wants an `Authorization: Key …`."""

    def __init__(self, bench: Workbench, desk: Desk, signer: Signer) -> None:
        self._store = bench.store
        self._switches = bench.switches
        self._files = bench.files
        self._key = bench.options.key
        self._desk = desk
        self._signer = signer

    @property
    def routes(self) -> list[Route]:
        """Request addresses use `owner/app`; the endpoint's sub-path and `/response` are accepted too."""
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
            if job is None or answers.app_id(endpoint) != answers.app_id(job.endpoint):
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
        return await self._desk.submit(request)

    async def _status(self, request: Request, job: Job) -> Response:
        struck = self._switches.strike(Phase.STATUS, Target(job.endpoint, job.prompt, job.id))
        if throttled := struck.get("status_429"):
            headers = {"Retry-After": f"{throttled.number('retry_after'):g}"}
            return answer({"detail": "Too many requests"}, 429, headers)
        if "status_500" in struck:
            return answer({"detail": "Internal server error"}, 500)
        body = answers.status(job, self._files.base_url(request), with_logs=_with_logs(request))
        return answer(body, 200 if body["status"] == "COMPLETED" else 202)

    async def _stream(self, request: Request, job: Job) -> Response:
        events = self._events(job.id, self._files.base_url(request), with_logs=_with_logs(request))
        return StreamingResponse(
            events, media_type="text/event-stream", headers={"Cache-Control": "no-store"}
        )

    async def _events(self, job_id: str, base_url: str, *, with_logs: bool) -> AsyncIterator[bytes]:
        """Each status as it changes; ends after COMPLETED."""
        last: dict[str, Any] | None = None
        for _ in range(int(MAX_STREAM_SECONDS / STREAM_INTERVAL_SECONDS)):
            job = self._store.job(job_id)
            if job is None:
                return
            body = answers.status(job, base_url, with_logs=with_logs)
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
            body = await answers.result(job, self._files, self._files.base_url(request))
            response = answer(body, headers={**headers, "x-fal-billable-units": answers.billable_units(job)})
        self._store.log("result_served", job.id, job.prompt, status=response.status_code)
        return response

    async def _cancel(self, _request: Request, job: Job) -> Response:
        if not job.is_open():
            status, body = 400, {"status": "ALREADY_COMPLETED"}
        else:
            status, body = 202, {"status": "CANCELLATION_REQUESTED"}
            struck = self._switches.strike(Phase.CANCEL, Target(job.endpoint, job.prompt, job.id))
            if "ignore_cancel" not in struck:
                self._store.cancel_job(job.id)
        self._store.log("cancel", job.id, job.prompt, status=status)
        return answer(body, status)


def _with_logs(request: Request) -> bool:
    return request.query_params.get("logs", "").lower() in ("1", "true")
