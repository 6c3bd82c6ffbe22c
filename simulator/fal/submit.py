"""Taking a request in: checks, refusals, and everything that can go wrong around the answer."""

import asyncio
import time
import uuid
from dataclasses import replace
from typing import Any

import httpx
from pydantic import ValidationError
from starlette.requests import Request
from starlette.responses import Response

from simulator.connection import cut
from simulator.delivery import Deliveries
from simulator.fal import answers
from simulator.fal.arguments import Arguments, detail_of
from simulator.fal.errors import content_policy_detail
from simulator.faults import FaultInvalid, Phase, Target, parse_markers
from simulator.jobs import QUEUED_SHARE, Job, duration_seconds
from simulator.provider import Workbench
from simulator.wire import BodyInvalid, answer, read_json

MAX_BODY_BYTES = 1_000_000
MAX_WEBHOOK_URL_CHARACTERS = 4_000


class Refused(Exception):
    """The request was not accepted: no job, and nothing is charged."""

    def __init__(self, status: int, detail: Any, headers: dict[str, str] | None = None) -> None:
        super().__init__(status)
        self.status = status
        self.detail = detail
        self.headers = headers


class Desk:
    """Accepts requests."""

    def __init__(self, bench: Workbench, deliveries: Deliveries) -> None:
        self._store = bench.store
        self._switches = bench.switches
        self._files = bench.files
        self._job_seconds = bench.options.job_seconds
        self._deliveries = deliveries

    async def submit(self, request: Request) -> Response:
        endpoint = request.path_params["endpoint"].strip("/")
        prompt = ""
        try:
            given = await _read(request)
            prompt = given["prompt"] if isinstance(given.get("prompt"), str) else ""
            arguments = _parse(given)
            webhook_url = _webhook_url(request)
            target = Target(endpoint, prompt)
            await self._admit(target)
        except Refused as refused:
            self._store.log("submit_rejected", None, prompt, endpoint=endpoint, status=refused.status)
            return answer({"detail": refused.detail}, refused.status, refused.headers)
        job = self._accept(target, arguments, given, webhook_url, self._files.base_url(request))
        return await self._answer(job, request)

    async def _admit(self, target: Target) -> None:
        """Raises Refused where a fault turns the request away."""
        struck = self._switches.strike(Phase.ADMISSION, target)
        if latency := struck.get("submit_latency"):
            await asyncio.sleep(latency.number("seconds"))
        if throttled := struck.get("submit_429"):
            headers = {"Retry-After": f"{throttled.number('retry_after'):g}"}
            raise Refused(429, "Too many requests", headers)
        for name, status in (("submit_500", 500), ("submit_503", 503)):
            if name in struck:
                raise Refused(status, "Internal server error" if status == 500 else "Service unavailable")
        if "reject" in struck:
            raise Refused(422, content_policy_detail(target.prompt))
        self._switches.admitted(target)

    def _accept(
        self,
        target: Target,
        arguments: Arguments,
        given: dict[str, Any],
        webhook_url: str | None,
        base_url: str,
    ) -> Job:
        now, job_id = time.time(), str(uuid.uuid4())
        seed = arguments.seed if arguments.seed is not None else uuid.uuid4().int % 2**32
        with self._store.transaction():
            pinned = self._switches.strike(Phase.JOB, replace(target, request_id=job_id))
            latency = pinned.get("latency")
            lasts = (
                duration_seconds(job_id, self._job_seconds) if latency is None else latency.number("seconds")
            )
            job = Job(
                id=job_id,
                endpoint=target.endpoint,
                prompt=target.prompt,
                picture=arguments.picture(seed),
                arguments=given,
                faults=tuple(pinned.values()),
                webhook_url=webhook_url,
                base_url=base_url,
                created_at=now,
                starts_at=now + lasts * QUEUED_SHARE,
                ends_at=None if "hang" in pinned else now + lasts,
            )
            self._store.add_job(job)
            self._store.log(
                "submit_accepted",
                job.id,
                job.prompt,
                endpoint=job.endpoint,
                has_webhook=webhook_url is not None,
            )
        self._deliveries.wake()
        return job

    async def _answer(self, job: Job, request: Request) -> Response:
        struck = self._switches.strike(Phase.ANSWER, Target(job.endpoint, job.prompt, job.id))
        if "early_webhook" in struck:
            self._store.end_job(job.id)
            await self._deliveries.send_now(job.id)
        if "lost_answer" in struck:
            cut(request)
        return answer(answers.submitted(job, self._files.base_url(request)))


async def _read(request: Request) -> dict[str, Any]:
    try:
        given = await read_json(request, MAX_BODY_BYTES)
    except BodyInvalid as error:
        raise Refused(422, [_invalid(["body"], str(error), "json_invalid", None)]) from error
    if not isinstance(given, dict):
        message = "Input should be a valid dictionary"
        raise Refused(422, [_invalid(["body"], message, "model_attributes_type", given)])
    return given


def _parse(given: dict[str, Any]) -> Arguments:
    try:
        arguments = Arguments.model_validate(given)
        parse_markers(arguments.prompt)
    except ValidationError as error:
        raise Refused(422, detail_of(error)) from error
    except FaultInvalid as error:
        detail = _invalid(["body", "prompt"], f"simulator: {error}", "value_error", given["prompt"])
        raise Refused(422, [detail]) from error
    return arguments


def _webhook_url(request: Request) -> str | None:
    url = request.query_params.get("fal_webhook")
    if not url:
        return None
    try:
        parts = httpx.URL(url)
        is_valid = parts.scheme in ("http", "https") and bool(parts.host) and (parts.port or 0) < 65_536
    except httpx.InvalidURL:
        is_valid = False
    if not is_valid or len(url) > MAX_WEBHOOK_URL_CHARACTERS:
        raise Refused(422, [_invalid(["query", "fal_webhook"], "Invalid URL", "url_parsing", url)])
    return url


def _invalid(loc: list[str], message: str, kind: str, given: object) -> dict[str, Any]:
    return {"loc": loc, "msg": message, "type": kind, "url": "", "ctx": {}, "input": given}
