"""Accepts a request, applies its faults, and holds the connection until the response."""

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Protocol

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from simulator.core.connection import cut
from simulator.core.faults.kinds import Phase
from simulator.core.faults.switches import Fault, FaultInvalid, Target
from simulator.core.images.bodies import HTML, sent
from simulator.core.jobs import Job, duration_seconds
from simulator.core.provider import Context
from simulator.core.rejected import Rejected
from simulator.core.synchronous.job_spec import JobSpec, RawRequest
from simulator.core.synchronous.render_pool import RenderPool
from simulator.core.synchronous.work import Abandoned, Work
from simulator.core.wire import answer

MAX_PADDING_MEGABYTES = 1024
_MEGABYTE = b" " * 1_000_000


class WireFormat(Protocol):
    """The wire format of one provider's endpoint. It raises only Rejected."""

    def new_id(self) -> str: ...
    def headers(self, request_id: str) -> dict[str, str]: ...
    def check_key(self, request: Request) -> None: ...
    async def read(self, request: Request) -> RawRequest: ...
    def prompt(self, given: RawRequest) -> str: ...
    async def order(self, given: RawRequest) -> JobSpec: ...
    def refusal(self, fault: Fault) -> Rejected: ...
    def nonsense(self, message: str) -> Rejected: ...
    async def answer(self, work: Work) -> Response: ...


class SubmitHandler:
    """Serves one endpoint."""

    def __init__(self, context: Context, wire_format: WireFormat, render_pool: RenderPool) -> None:
        self._context = context
        self._store = context.store
        self._switches = context.switches
        self._wire_format = wire_format
        self._painters = render_pool

    async def serve(self, request: Request) -> Response:
        prompt, endpoint, request_id = "", None, self._wire_format.new_id()
        try:
            self._wire_format.check_key(request)
            given = await self._wire_format.read(request)
            prompt = self._wire_format.prompt(given)
            order = await self._wire_format.order(given)
            del given  # its bytes would stay in memory as long as the client waits
            endpoint = order.endpoint
            await self._admit(Target(endpoint, prompt))
        except Rejected as refused:
            reported = {"endpoint": endpoint, "path": request.url.path, "status": refused.status}
            self._store.log("submit_rejected", None, prompt, **reported)
            return self._refused(refused, request_id)
        work = self._accept(order, request, request_id)
        try:
            response = await self._wire_format.answer(work)
        except Rejected as refused:
            response = self._refused(refused, request_id)
        except Abandoned:
            response = Response(status_code=499)
        except asyncio.CancelledError:
            # The server stops while it works: to the client, a connection that breaks.
            work.log("answer_lost", by="stop")
            cut(request)
            return Response(status_code=499)
        return await self._send(work, response)

    async def _admit(self, target: Target) -> None:
        """Raise Rejected if a fault rejects the request."""
        try:
            self._switches.check(target.prompt)
        except FaultInvalid as error:
            raise self._wire_format.nonsense(f"simulator: {error}") from error
        active = self._switches.active_faults(Phase.ADMISSION, target)
        if latency := active.pop("submit_latency", None):
            await asyncio.sleep(latency.number("seconds"))
        for fault in active.values():
            raise self._wire_format.refusal(fault)
        self._switches.admitted(target)

    def _accept(self, order: JobSpec, request: Request, request_id: str) -> Work:
        now, target = time.time(), Target(order.endpoint, order.prompt, request_id)
        with self._store.transaction():
            faults = dict[str, Fault]()
            for phase in order.phases:
                faults |= self._switches.active_faults(phase, target)
            latency = faults.get("latency")
            usual = duration_seconds(request_id, self._context.options.job_seconds)
            job = Job(
                id=request_id,
                endpoint=order.endpoint,
                prompt=order.prompt,
                picture=order.picture,
                arguments=order.arguments,
                faults=tuple(faults.values()),
                webhook_url=None,
                base_url=self._context.files.base_url(request),
                created_at=now,
                starts_at=now,
                ends_at=None if "hang" in faults else now + (latency.number("seconds") if latency else usual),
            )
            self._store.add_job(job, inputs=order.kept_inputs)
        work = Work(job, order, request, self._store, self._painters, self._wire_format.refusal)
        work.log(
            "submit_accepted",
            endpoint=order.endpoint,
            path=request.url.path,
            count=order.picture.count,
            size=f"{order.picture.width}x{order.picture.height}",
            inputs=[source.entry() for source in order.sources],
            mask=None if order.mask is None else order.mask.entry(),
            arguments=order.arguments,
        )
        return work

    async def _send(self, work: Work, response: Response) -> Response:
        """Return the response as the faults change it. An event stream applies its own."""
        if isinstance(response, StreamingResponse):
            return response
        if await work.request.is_disconnected():
            work.log("answer_lost", by="client")
            return response
        if work.fault("lost_answer"):
            work.log("answer_lost", by="fault")
            cut(work.request)
            return response
        work.log("result_served", status=response.status_code)
        return _broken(work, response) if response.status_code == 200 else response

    def _refused(self, refused: Rejected, request_id: str) -> Response:
        headers = self._wire_format.headers(request_id) | refused.headers
        return answer(refused.body, refused.status, headers)


def _broken(work: Work, response: Response) -> Response:
    faults = {fault.name: fault for fault in work.job.faults}
    body = bytes(response.body)
    if "not_json" in faults:
        broken: Response = Response(HTML, media_type="text/html")
    elif huge := faults.get("huge_body"):
        broken = StreamingResponse(_padded(body, huge.number("megabytes")), media_type="application/json")
    else:
        broken = sent(work.request, body, "application/json", faults)
    for name, value in response.headers.items():
        if name not in ("content-length", "content-type"):
            broken.headers[name] = value
    return broken


async def _padded(body: bytes, megabytes: float) -> AsyncIterator[bytes]:
    """Return JSON after blanks, with no length announced."""
    for _ in range(int(min(megabytes, MAX_PADDING_MEGABYTES))):
        yield _MEGABYTE
    yield body
