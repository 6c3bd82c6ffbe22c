"""Creating a prediction: its input, headers and webhook, and the response, now or after the wait."""

import asyncio
import time
from typing import Any

from pydantic import ValidationError
from starlette.requests import Request
from starlette.responses import Response

from simulator.core.delivery import Deliveries
from simulator.core.faults.switches import FaultInvalid, Target
from simulator.core.images.inputs import Input, fetched, opened
from simulator.core.images.sources import SourceInvalid
from simulator.core.job_submit import JobAcceptor, JobSpec, is_webhook_url, new_seed
from simulator.core.jobs import Job
from simulator.core.provider import Context
from simulator.core.rejected import Rejected
from simulator.core.wire import BodyInvalid, answer, read_json
from simulator.replicate.errors import invalid_fields, invalid_input, problem, rejection_for
from simulator.replicate.headers import cancel_after_seconds, wait_seconds
from simulator.replicate.models import Model, ReplicateRequest
from simulator.replicate.responses import early_prediction, prediction
from simulator.replicate.uploads import Uploads, new_id
from simulator.replicate.webhooks import DEFAULT_EVENTS, EVENTS

MAX_BODY_BYTES = 2_000_000
MAX_DATA_URL_BYTES = 256 * 1024
RATE_HEADERS = {"ratelimit-remaining": "599", "ratelimit-reset": "1"}
_WAIT_STEP_SECONDS = 0.05


class SubmitHandler:
    """Accepts predictions."""

    def __init__(self, context: Context, deliveries: Deliveries, uploads: Uploads) -> None:
        self._store = context.store
        self._switches = context.switches
        self._files = context.files
        self._uploads = uploads
        self._acceptor = JobAcceptor(context, deliveries)

    async def submit(self, request: Request, model: Model, given: dict[str, Any]) -> Response:
        """Raises Rejected."""
        fields = given.get("input")
        prompt = str(fields.get("prompt", "")) if isinstance(fields, dict) else ""
        try:
            spec = await self._spec(request, model, given, prompt)
            fault = await self._acceptor.rejecting_fault(spec.target)
            if fault is not None:
                raise rejection_for(fault)
        except Rejected as refused:
            self._store.log("submit_rejected", None, prompt, endpoint=model.name, status=refused.status)
            raise
        job = self._acceptor.accept(new_id(), spec)
        await self._acceptor.before_response(job, request)
        return await self._answer(job, request)

    async def _spec(self, request: Request, model: Model, given: dict[str, Any], prompt: str) -> JobSpec:
        fields = given.get("input")
        if not isinstance(fields, dict):
            raise invalid_input("input", "input is required", "required")
        arguments = self._checked(model, fields)
        after_seconds = cancel_after_seconds(request.headers)
        deadline_at = None if after_seconds is None else time.time() + after_seconds
        base_url = self._files.base_url(request)
        image = await self._image(arguments, base_url)
        seed = new_seed() if arguments.seed is None else arguments.seed
        return JobSpec(
            target=Target(model.name, prompt),
            picture=arguments.picture(seed, None if image is None else image.source),
            arguments={
                "input": fields,
                "deadline_at": deadline_at,
                "webhook_events_filter": _events(given),
            },
            base_url=base_url,
            webhook_url=_webhook_url(given),
            inputs=() if image is None else (image,),
            deadline_at=deadline_at,
        )

    def _checked(self, model: Model, fields: dict[str, Any]) -> ReplicateRequest:
        try:
            arguments = model.takes.model_validate(fields)
            self._switches.check(arguments.prompt)
        except ValidationError as error:
            raise invalid_fields(error) from error
        except FaultInvalid as error:
            raise invalid_input("input.prompt", f"simulator: {error}") from error
        return arguments

    async def _image(self, arguments: ReplicateRequest, base_url: str) -> Input | None:
        field = arguments.image_field
        address = None if field is None else getattr(arguments, field)
        if address is None:
            return None
        try:
            content = self._uploads.content_at(address, base_url)
            if content is None:
                content = await fetched(address)
            image = await opened(content)
        except SourceInvalid as error:
            raise invalid_input(f"input.{field}", f"not an image: {error}") from error
        if address.startswith("data:") and len(content) > MAX_DATA_URL_BYTES:
            raise invalid_input(f"input.{field}", "a data URL may have 256 KB; upload the file instead")
        return image

    async def _answer(self, job: Job, request: Request) -> Response:
        seconds = wait_seconds(request.headers)
        headers = dict(RATE_HEADERS)
        base_url = self._files.base_url(request)
        if seconds is not None:
            headers["Preference-Applied"] = f"wait={seconds}"
            job = await self._ended(job, seconds)
            if job.fault("early_output") is not None and not job.is_open():
                return answer(await early_prediction(job, self._files, base_url), 201, headers)
        return answer(await prediction(job, self._files, base_url), 201, headers)

    async def _ended(self, job: Job, seconds: float) -> Job:
        """Return the job after its end, or after this time."""
        until = time.time() + seconds
        while job.is_open() and time.time() < until:
            await asyncio.sleep(min(_WAIT_STEP_SECONDS, max(0.001, until - time.time())))
            job = self._store.job(job.id) or job
        return job


async def read_object(request: Request) -> dict[str, Any]:
    """Read the request's JSON. Raises Rejected."""
    try:
        given = await read_json(request, MAX_BODY_BYTES)
    except BodyInvalid as error:
        raise problem(400, "Bad request", str(error)) from error
    if not isinstance(given, dict):
        raise problem(400, "Bad request", "the body must be a JSON object")
    return given


def _webhook_url(given: dict[str, Any]) -> str | None:
    url = given.get("webhook", given.get("webhook_completed"))
    if url is None:
        return None
    if not isinstance(url, str) or not is_webhook_url(url):
        raise problem(422, "Invalid webhook", "webhook must be an HTTPS URL")
    return url


def _events(given: dict[str, Any]) -> list[str]:
    if "webhook_events_filter" not in given:
        return list(DEFAULT_EVENTS if "webhook" in given else DEFAULT_EVENTS[-1:])
    events = given["webhook_events_filter"]
    if not isinstance(events, list) or any(event not in EVENTS for event in events):
        raise invalid_input("webhook_events_filter", f"must be some of {', '.join(EVENTS)}")
    return [str(event) for event in events]
