"""Submitting a task."""

import uuid
from typing import Any

from pydantic import ValidationError
from starlette.requests import Request
from starlette.responses import Response

from simulator.bfl import responses
from simulator.bfl.errors import invalid, invalid_fields, over_limit, rejection, rejection_for
from simulator.bfl.images import FIELDS, given_images, megapixels, picture_of, white_share
from simulator.bfl.models import MODELS, BflRequest, Model
from simulator.core.delivery import Deliveries
from simulator.core.faults.switches import FaultInvalid, Target
from simulator.core.job_submit import JobAcceptor, JobSpec, is_webhook_url, new_seed
from simulator.core.provider import Context
from simulator.core.rejected import Rejected
from simulator.core.wire import BodyInvalid, answer, read_json

ACTIVE_TASKS = 24
RETRY_AFTER_SECONDS = 5
# Eight images of 20 MB in base64 would be 214 MB; nobody sends that here.
MAX_BODY_BYTES = 64_000_000


class SubmitHandler:
    """Accepts tasks."""

    def __init__(self, context: Context, deliveries: Deliveries) -> None:
        self._store = context.store
        self._switches = context.switches
        self._files = context.files
        self._options = context.options
        self._acceptor = JobAcceptor(context, deliveries)

    async def submit(self, request: Request) -> Response:
        """Raises Rejected."""
        endpoint, prompt = request.path_params["model"], ""
        try:
            model = MODELS.get(endpoint)
            if model is None:
                raise rejection(404, "Not Found")
            given = await _read(request)
            prompt = str(given.get("prompt", ""))
            spec = await self._spec(endpoint, model, given, self._files.base_url(request))
            fault = await self._acceptor.rejecting_fault(spec.target)
            if fault is not None:
                raise rejection_for(fault)
            self._check_active_tasks()
        except Rejected as refused:
            self._store.log("submit_rejected", None, prompt, endpoint=endpoint, status=refused.status)
            raise
        job = self._acceptor.accept(str(uuid.uuid4()), spec)
        if "mask_white_share" in spec.arguments:
            share = spec.arguments["mask_white_share"]
            self._store.log("mask_read", job.id, prompt, white_share=share)
        active = await self._acceptor.before_response(job, request)
        return answer(responses.submitted(job, self._polling_url(request, job.id), active))

    async def _spec(self, endpoint: str, model: Model, given: dict[str, Any], base_url: str) -> JobSpec:
        arguments = self._checked(model, given)
        images = await given_images(arguments)
        picture = picture_of(arguments, images, new_seed() if arguments.seed is None else arguments.seed)
        sizes = [(one.source.width, one.source.height) for one in images.values()]
        input_mp = round(sum(megapixels(*size) for size in sizes), 2)
        output_mp = megapixels(picture.width, picture.height)
        return JobSpec(
            target=Target(endpoint, arguments.prompt),
            picture=picture,
            arguments={
                **{key: value for key, value in given.items() if key not in FIELDS},
                "webhook_secret": arguments.webhook_secret,
                "cost": model.cost(input_mp, output_mp),
                "input_mp": input_mp,
                "output_mp": output_mp,
                **({"mask_white_share": white_share(images["mask"])} if "mask" in images else {}),
            },
            base_url=base_url,
            webhook_url=arguments.webhook_url,
            inputs=[image for field, image in images.items() if field != "mask"],
        )

    def _checked(self, model: Model, given: dict[str, Any]) -> BflRequest:
        try:
            arguments = model.takes.model_validate(given)
            self._switches.check(arguments.prompt)
        except ValidationError as error:
            raise invalid_fields(error) from error
        except FaultInvalid as error:
            raise invalid("prompt", f"simulator: {error}") from error
        if arguments.webhook_url is not None and not is_webhook_url(arguments.webhook_url):
            raise invalid("webhook_url", "Input should be a valid URL", "url_parsing")
        return arguments

    def _check_active_tasks(self) -> None:
        """Raise Rejected if too many tasks are open."""
        limit = ACTIVE_TASKS if self._options.active_jobs is None else self._options.active_jobs
        if self._store.open_count() >= limit:
            raise over_limit(f"Too many active tasks; the limit is {limit}.", RETRY_AFTER_SECONDS)

    def _polling_url(self, request: Request, task_id: str) -> str:
        """Return the polling address at the regional host, which here is another port."""
        host = request.url.hostname or self._options.host
        base_url = self._options.polling_url or str(
            request.url.replace(path="", query="", hostname=host, port=self._options.polling_port)
        )
        return f"{base_url.rstrip('/')}/v1/get_result?id={task_id}"


async def _read(request: Request) -> dict[str, Any]:
    try:
        given = await read_json(request, MAX_BODY_BYTES)
    except BodyInvalid as error:
        raise invalid(None, str(error), "json_invalid") from error
    if not isinstance(given, dict):
        raise invalid(None, "Input should be a valid dictionary", "dict_type")
    return given
