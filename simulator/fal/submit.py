"""Taking a request in, in fal's words."""

import uuid
from typing import Any

from pydantic import ValidationError
from starlette.requests import Request
from starlette.responses import Response

from simulator.delivery import Deliveries
from simulator.fal import answers
from simulator.fal.arguments import Arguments, detail_of
from simulator.fal.errors import content_policy_detail, infrastructure_failure
from simulator.faults import Fault, FaultInvalid, FaultSwitches, Target
from simulator.inputs import Input, fetched, opened
from simulator.intake import Intake, Order, is_webhook_url, new_seed
from simulator.provider import Workbench
from simulator.sources import SourceInvalid
from simulator.wire import BodyInvalid, answer, read_json

MAX_BODY_BYTES = 1_000_000


class Refused(Exception):
    """The request was not accepted: no job, and nothing is charged."""

    def __init__(self, status: int, detail: Any, headers: dict[str, str] | None = None, **more: str) -> None:
        super().__init__(status)
        self.status = status
        self.body = {"detail": detail, **more}
        self.headers = headers


class Desk:
    """Accepts requests."""

    def __init__(self, bench: Workbench, deliveries: Deliveries) -> None:
        self._store = bench.store
        self._switches = bench.switches
        self._files = bench.files
        self._intake = Intake(bench, deliveries)

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
            fault = await self._intake.admit(target)
            if fault is not None:
                raise _refusal(fault, prompt)
        except Refused as refused:
            self._store.log("submit_rejected", None, prompt, endpoint=endpoint, status=refused.status)
            return answer(refused.body, refused.status, refused.headers)
        seed = arguments.seed if arguments.seed is not None else new_seed()
        base_url = self._files.base_url(request)
        picture = arguments.picture(seed, images[0].source if images else None)
        order = Order(target, picture, given, base_url, webhook_url, images)
        job = self._intake.accept(str(uuid.uuid4()), order)
        await self._intake.before_answer(job, request)
        return answer(answers.submitted(job, base_url))


def _refusal(fault: Fault, prompt: str) -> Refused:
    if fault.name == "submit_429":
        return Refused(429, "Too many requests", {"Retry-After": f"{fault.number('retry_after'):g}"})
    if fault.name == "reject":
        return Refused(422, content_policy_detail(prompt))
    if fault.name == "submit_500":
        return Refused(500, "Internal server error")
    failure = infrastructure_failure("runner_scheduling_failure")
    return Refused(failure.status, headers=failure.headers, **failure.body)


async def _read(request: Request) -> dict[str, Any]:
    try:
        given = await read_json(request, MAX_BODY_BYTES)
    except BodyInvalid as error:
        raise Refused(422, [_invalid(["body"], str(error), "json_invalid", None)]) from error
    if not isinstance(given, dict):
        message = "Input should be a valid dictionary"
        raise Refused(422, [_invalid(["body"], message, "model_attributes_type", given)])
    return given


def _parse(given: dict[str, Any], switches: FaultSwitches) -> Arguments:
    try:
        arguments = Arguments.model_validate(given)
        switches.check(arguments.prompt)
    except ValidationError as error:
        raise Refused(422, detail_of(error)) from error
    except FaultInvalid as error:
        detail = _invalid(["body", "prompt"], f"simulator: {error}", "value_error", given["prompt"])
        raise Refused(422, [detail]) from error
    return arguments


async def _image(loc: list[str | int], address: str) -> Input:
    try:
        return await opened(await fetched(address))
    except SourceInvalid as error:
        detail = _invalid(loc, f"Failed to load the image: {error}", "file_download_error", address)
        raise Refused(422, [detail]) from error


def _webhook_url(request: Request) -> str | None:
    url = request.query_params.get("fal_webhook")
    if not url:
        return None
    if not is_webhook_url(url):
        raise Refused(422, [_invalid(["query", "fal_webhook"], "Invalid URL", "url_parsing", url)])
    return url


def _invalid(loc: list[str | int], message: str, kind: str, given: object) -> dict[str, Any]:
    return {"loc": loc, "msg": message, "type": kind, "url": "", "ctx": {}, "input": given}
