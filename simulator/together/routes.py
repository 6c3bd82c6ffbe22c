"""`/v1/images/generations`: from the request to the response."""

import hmac
import secrets
from base64 import b64encode
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from simulator.core.faults.kinds import Phase
from simulator.core.faults.switches import Fault
from simulator.core.files import Files
from simulator.core.images.inputs import Input, fetched, opened
from simulator.core.images.sources import SourceInvalid
from simulator.core.job_submit import new_seed
from simulator.core.jobs import Picture
from simulator.core.rejected import Rejected
from simulator.core.synchronous.job_spec import JobSpec, RawRequest
from simulator.core.synchronous.work import Work
from simulator.core.wire import BodyInvalid, answer, read_json
from simulator.together.errors import invalid_key, rejection, rejection_for
from simulator.together.requests import parse

MAX_BODY_BYTES = 100_000_000


class Generations:
    """Makes images from text, and for some models from images: in the response, or as addresses in it."""

    def __init__(self, key: str | None, files: Files) -> None:
        self._key = key
        self._files = files

    def new_id(self) -> str:
        return f"{secrets.token_hex(4)}-{secrets.token_hex(8)}"

    def headers(self, request_id: str) -> dict[str, str]:
        return {"x-request-id": request_id}

    def check_key(self, request: Request) -> None:
        scheme, _, given = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not given.strip():
            raise invalid_key()
        if self._key is not None and not hmac.compare_digest(given.strip().encode(), self._key.encode()):
            raise invalid_key()

    async def read(self, request: Request) -> RawRequest:
        try:
            fields = await read_json(request, MAX_BODY_BYTES)
        except BodyInvalid as error:
            raise rejection(400, str(error)) from error
        if not isinstance(fields, dict):
            raise rejection(400, "The body must be an object.")
        return RawRequest({name: value for name, value in fields.items() if value is not None})

    def prompt(self, given: RawRequest) -> str:
        prompt = given.fields.get("prompt")
        return prompt if isinstance(prompt, str) else ""

    async def order(self, given: RawRequest) -> JobSpec:
        arguments = parse(given.fields)
        inputs = [await _input(address) for address in arguments.inputs()]
        width, height = arguments.size()
        seed = new_seed() if arguments.seed is None else arguments.seed
        as_files = arguments.response_format == "url"
        return JobSpec(
            endpoint=arguments.model,
            prompt=arguments.prompt,
            picture=Picture(width, height, arguments.output_format, seed, arguments.n),
            arguments=arguments.model_dump(
                exclude={"prompt", "image_url", "reference_images"}, exclude_none=True
            ),
            sources=tuple(each.source for each in inputs),
            kept_inputs=tuple(each.png for each in inputs) if as_files else (),
            phases=(Phase.JOB, Phase.ANSWER) if as_files else (Phase.JOB, Phase.ANSWER, Phase.FILE),
        )

    def refusal(self, fault: Fault) -> Rejected:
        return rejection_for(fault)

    def nonsense(self, message: str) -> Rejected:
        return rejection(400, message, param="prompt")

    async def answer(self, work: Work) -> Response:
        if work.order.arguments["response_format"] == "url":
            count = await work.finish()
            work.done(count)
            addresses = self._files.mint(work.job, work.job.base_url)[:count]
            data: list[dict[str, Any]] = [
                {"index": index, "type": "url", "url": address} for index, address in enumerate(addresses)
            ]
        else:
            data = [
                {"index": index, "type": "b64_json", "b64_json": b64encode(image).decode()}
                for index, image in enumerate(await work.images())
            ]
        body = {"id": work.job.id, "model": work.order.endpoint, "object": "list", "data": data}
        return answer(body, headers=self.headers(work.job.id))


async def _input(address: str) -> Input:
    try:
        return await opened(await fetched(address))
    except SourceInvalid as error:
        raise rejection(400, f"Invalid input image: {error}", param="image_url") from error
