"""Black Forest Labs' FLUX API.

Reference: BFL's OpenAPI, its official client `blackforest`, and its pages on integration (read 2026-08-21).
Not confirmed there, so every reading is accepted: whether the response to a submit with a webhook has the
polling address, the HTTP status of `Task not found`, the bodies of 401, 402 and 429, and statuses that
newer clients know. There is no cancel, no list, and one image per request.

A submit whose response was lost stays lost: a task is found by its id alone, which is in that response.
"""

from collections.abc import AsyncIterator, Collection, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import datetime
from http import HTTPStatus
from typing import Any

from adapters.providers.bfl.errors import ERRORS
from adapters.providers.bfl.webhooks import webhook_secret
from adapters.providers.http.gateways import canonical, field_of
from adapters.providers.http.jobs import accepted_job_id, running
from adapters.providers.http.masks import InvertAlpha, white_where_transparent
from adapters.providers.http.progress import percent_of_share, progress_of
from adapters.providers.http.request_bodies import (
    StreamedBody,
    image_placeholders,
    json_body,
    parameters_named,
)
from adapters.providers.http.requests import (
    has_same_origin,
    join_path,
    parse_url,
    send_repeatable,
    send_submit,
    unavailable,
)
from adapters.providers.http.responses import cost_of, is_token, json_object
from adapters.storage.address_guard import is_allowed
from adapters.transport.http import HttpClient, Response, Url
from domain.generation import GenerationRequest
from domain.keyring import Keyring
from domain.model_schema import pixels
from domain.provider import JobStatus, ProviderJob, ProviderResult, ResultFile, Submission

_ENDED = ("Request Moderated", "Content Moderated", "Error", "Failed")
_READ = ("Ready", "Task not found")
_RUNNING = ("Pending", "Queued", "Reasoning", "Generating")
_UNIT = "bfl_credit"
# How models name their first input image; the second is `input_image_2`, and so on.
_IMAGE_FIELDS = {
    "flux-pro-1.1": "image_prompt",
    "flux-pro-1.1-ultra": "image_prompt",
    "flux-dev": "image_prompt",
    "flux-pro-1.0-fill": "image",
    "flux-pro-1.0-expand": "image",
}
_DEFAULT_IMAGE_FIELD = "input_image"
_SAME_NAME = ("aspect_ratio", "resolution", "seed", "output_format")


class BflProvider:
    """Submits, and polls the address in the response, which is in one of BFL's regions.

    polling_hosts: where our key may be sent besides `url`: host patterns, or a whole origin.
    invert_alpha: converts masks. keyring: what webhook secrets are derived from; without it no webhook is
    requested.
    """

    name = "bfl"

    def __init__(
        self,
        http: HttpClient,
        *,
        key: str,
        url: str,
        polling_hosts: tuple[str, ...],
        result_hosts: tuple[str, ...],
        invert_alpha: InvertAlpha,
        keyring: Keyring | None = None,
    ) -> None:
        self._http = http
        self._url = Url(url)
        self._headers = {"x-key": key}
        self._polling_hosts = polling_hosts
        self._keyring = keyring
        self._invert_alpha = invert_alpha
        self.result_hosts = result_hosts

    async def submit(self, submission: Submission) -> ProviderJob:
        webhook: dict[str, Any] = {}
        if self._keyring is not None and submission.webhook_url:
            secret = webhook_secret(self._keyring.current, submission.attempt)
            webhook = {"webhook_url": submission.webhook_url, "webhook_secret": secret}
        url = join_path(self._url, f"v1/{submission.request.endpoint}")
        async with self._with_white_mask(submission) as masked:
            body = _body(masked, webhook)
            response = await send_submit(
                self._http, self.name, url, content=body, headers=self._headers | body.headers
            )
        if response.is_client_error:
            name = str(response.status_code)
            message = f"bfl: {name} {_message(json_object(response))}"
            raise ERRORS.get(name, ERRORS["4xx"]).to_error(message)
        return self._job(response)

    async def poll_job(self, request: GenerationRequest, job: ProviderJob) -> ProviderResult:
        url = self._polling_url(job)
        response = await send_repeatable(self._http, self.name, "GET", url, headers=self._headers)
        task = json_object(response)
        status = canonical(field_of(task, "status"), (*_ENDED, *_READ, *_RUNNING))
        if status == "Ready":
            return _ready(task)
        if status == "Task not found" or response.status_code == HTTPStatus.NOT_FOUND:
            return _not_found(job)
        if isinstance(status, str) and status in _ENDED:
            return ERRORS[status].to_result(f"{status}: {_message(task)}")
        if not response.is_success:
            # Our key or our address is wrong. The task still exists, and there is time to correct it.
            raise unavailable(self.name, response)
        share = percent_of_share(field_of(task, "progress"))
        return running(status, _RUNNING, progress_of(is_queued=status == "Queued", percent=share))

    async def cancel_job(self, request: GenerationRequest, job: ProviderJob) -> bool:
        """Return False: BFL has no cancel."""
        return False

    async def find_job(self, webhook_urls: Collection[str], begun_at: datetime) -> ProviderJob | None:
        """Return None: BFL lists no tasks. A webhook may still report the task."""
        return None

    @asynccontextmanager
    async def _with_white_mask(self, submission: Submission) -> AsyncIterator[Submission]:
        """Convert the mask: BFL reads its color, and not its alpha, and repaints what is white."""
        if submission.mask is None:
            yield submission
            return
        async with white_where_transparent(submission.mask, self._invert_alpha) as mask:
            yield replace(submission, mask=mask)

    def _job(self, response: Response) -> ProviderJob:
        job_id, body = accepted_job_id(self.name, response, "id"), json_object(response)
        url = body.get("polling_url")
        urls = {"polling": str(url)} if self._may_receive_key(url) else {}
        return ProviderJob(job_id, urls, cost_of(body.get("cost"), _UNIT))

    def _may_receive_key(self, url: object) -> bool:
        parsed = parse_url(url)
        return has_same_origin(url, self._url) or (
            parsed is not None and is_allowed(parsed, self._polling_hosts)
        )

    def _polling_url(self, job: ProviderJob) -> Url:
        """Return the task's own address, or the one that BFL's client falls back to."""
        if "polling" in job.urls:
            return Url(job.urls["polling"])
        return join_path(self._url, "v1/get_result").copy_merge_params({"id": job.job_id})


def _ready(task: Mapping[str, Any]) -> ProviderResult:
    result = task.get("result")
    found = result if isinstance(result, dict) else {}
    sample = found.get("sample")
    if not is_token(sample):
        return ERRORS["Ready without a sample"].to_tentative_result("Ready without a sample")
    cost = cost_of(task.get("cost"), _UNIT) or cost_of(found.get("cost"), _UNIT)
    return ProviderResult(JobStatus.SUCCEEDED, files=(ResultFile(sample),), cost=cost)


def _not_found(job: ProviderJob) -> ProviderResult:
    """Return a failure at the task's own address. At any other, the task may be in another region."""
    if "polling" in job.urls:
        return ERRORS["Task not found"].to_tentative_result("Task not found")
    return ProviderResult(JobStatus.RUNNING, unknown_status="Task not found")


def _message(body: Mapping[str, Any]) -> str:
    """Join the texts of all fields that are known to hold BFL's message."""
    texts = [body.get(name) for name in ("detail", "details", "error", "message", "result")]
    return " ".join(str(text) for text in texts if text)


def _body(submission: Submission, webhook: Mapping[str, Any]) -> StreamedBody:
    request, given = submission.request, submission.request.parameters
    body = {**given.get("options", {}), "prompt": request.prompt, **webhook}
    body |= parameters_named(_SAME_NAME, given)
    if given.get("size", "auto") != "auto":
        body["width"], body["height"] = pixels(given["size"])
    field = _IMAGE_FIELDS.get(request.endpoint, _DEFAULT_IMAGE_FIELD)
    images = image_placeholders(submission.images)
    masks = image_placeholders([] if submission.mask is None else [submission.mask])
    for ordinal, placeholder in enumerate(images, start=1):
        body[field if ordinal == 1 else f"{field}_{ordinal}"] = placeholder
    for placeholder in masks:
        body["mask"] = placeholder
    return json_body(body, images | masks)
