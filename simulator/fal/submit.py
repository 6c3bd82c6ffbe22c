"""Submitting a request to fal's queue."""

import uuid
from typing import Any

from pydantic import ValidationError
from starlette.requests import Request
from starlette.responses import Response

from simulator.core.delivery import Deliveries
from simulator.core.faults.switches import Fault, FaultInvalid, FaultSwitches, Target
from simulator.core.images.inputs import Input, fetched, opened
from simulator.core.images.sources import SourceInvalid
from simulator.core.job_submit import JobAcceptor, JobSpec, is_webhook_url, new_seed
from simulator.core.provider import Context
from simulator.core.rejected import Rejected
from simulator.core.wire import BodyInvalid, answer, read_json
from simulator.fal import responses
from simulator.fal.errors import content_policy_detail, infrastructure_failure
from simulator.fal.requests import FalRequest, detail_of

MAX_BODY_BYTES = 1_000_000


class SubmitHandler:
    """Accepts requests."""

    def __init__(self, context: Context, deliveries: Deliveries) -> None:
        self._store = context.store
        self._switches = context.switches
        self._files = context.files
        self._acceptor = JobAcceptor(context, deliveries)

    async def submit(self, request: Request) -> Response:
        endpoint = request.path_params["endpoint"].strip("/")
        prompt = ""
        try:
            given = await _read(request)
            prompt = given["prompt"] if isinstance(given.get("prompt"), str) else ""
            arguments = _parse(given, self._switches)
            webhook_url = _webhook_url(request)
            images = [await _image(*place) for place in arguments.addresses()]
            target = Target(endpoint, prompt)
            fault = await self._acceptor.rejecting_fault(target)
            if fault is not None:
                raise _refusal(fault, prompt)
        except Rejected as refused:
            self._store.log("submit_rejected", None, prompt, endpoint=endpoint, status=refused.status)
            return refused.response()
        seed = arguments.seed if arguments.seed is not None else new_seed()
        base_url = self._files.base_url(request)
        picture = arguments.picture(seed, images[0].source if images else None)
        order = JobSpec(target, picture, given, base_url, webhook_url, images)
        job = self._acceptor.accept(str(uuid.uuid4()), order)
        await self._acceptor.before_response(job, request)
        return answer(responses.submitted(job, base_url))


def _rejected(status: int, detail: Any, headers: dict[str, str] | None = None, **more: str) -> Rejected:
    return Rejected(status, {"detail": detail, **more}, headers)


def _refusal(fault: Fault, prompt: str) -> Rejected:
    if fault.name == "submit_429":
        return _rejected(429, "Too many requests", {"Retry-After": f"{fault.number('retry_after'):g}"})
    if fault.name == "reject":
        return _rejected(422, content_policy_detail(prompt))
    if fault.name == "submit_500":
        return _rejected(500, "Internal server error")
    failure = infrastructure_failure("runner_scheduling_failure")
    return _rejected(failure.status, headers=failure.headers, **failure.body)


async def _read(request: Request) -> dict[str, Any]:
    try:
        given = await read_json(request, MAX_BODY_BYTES)
    except BodyInvalid as error:
        raise _rejected(422, [_invalid(["body"], str(error), "json_invalid", None)]) from error
    if not isinstance(given, dict):
        message = "Input should be a valid dictionary"
        raise _rejected(422, [_invalid(["body"], message, "model_attributes_type", given)])
    return given


def _parse(given: dict[str, Any], switches: FaultSwitches) -> FalRequest:
    try:
        arguments = FalRequest.model_validate(given)
        switches.check(arguments.prompt)
    except ValidationError as error:
        raise _rejected(422, detail_of(error)) from error
    except FaultInvalid as error:
        detail = _invalid(["body", "prompt"], f"simulator: {error}", "value_error", given["prompt"])
        raise _rejected(422, [detail]) from error
    return arguments


async def _image(loc: list[str | int], address: str) -> Input:
    try:
        return await opened(await fetched(address))
    except SourceInvalid as error:
        detail = _invalid(loc, f"Failed to load the image: {error}", "file_download_error", address)
        raise _rejected(422, [detail]) from error


def _webhook_url(request: Request) -> str | None:
    url = request.query_params.get("fal_webhook")
    if not url:
        return None
    if not is_webhook_url(url):
        raise _rejected(422, [_invalid(["query", "fal_webhook"], "Invalid URL", "url_parsing", url)])
    return url


def _invalid(loc: list[str | int], message: str, kind: str, given: object) -> dict[str, Any]:
    return {"loc": loc, "msg": message, "type": kind, "url": "", "ctx": {}, "input": given}
