"""fal's queue API.

Reference: fal-ai/fal `projects/fal_client` and fal's pages `model-apis/queue`, `model-apis/errors`
(read 2026-08-21). Not confirmed there, so both readings are accepted: the status of a result requested too
early (400 is what two independent clients expect), whether a finished cancel gets 202 or 200, and what
a locked account gets.
"""

import json
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from http import HTTPStatus
from typing import Any

from adapters.providers.fal.errors import ERRORS
from adapters.providers.http.gateways import address_of, canonical, field_of
from adapters.providers.http.jobs import accepted_job_id, running
from adapters.providers.http.progress import message_lines, progress_of
from adapters.providers.http.request_bodies import (
    StreamedBody,
    data_uri,
    image_placeholders,
    json_body,
    parameters_named,
)
from adapters.providers.http.requests import (
    has_same_origin,
    join_path,
    send_repeatable,
    send_submit,
    unavailable,
)
from adapters.providers.http.responses import cost_of, is_token, json_object
from adapters.transport.errors import ResponseTooLarge
from adapters.transport.http import HttpClient, Response, Url
from domain.errors import ContentRejected, NotDelivered, ProviderUnavailable, ResultUnusable
from domain.generation import GenerationRequest, Undelivered
from domain.model_schema import pixels
from domain.progress import ProviderProgress
from domain.provider import JobStatus, ProviderJob, ProviderResult, ResultFile, Submission

_RUNNING = ("IN_QUEUE", "IN_PROGRESS")
_UNIT = "billable_unit"
# Models that take one input image; every other takes a list of them as `image_urls`.
_ONE_IMAGE = frozenset({"fal-ai/flux-pro/kontext", "fal-ai/flux-pro/kontext/max"})
# Parameters that have the same names in fal's models.
_SAME_NAME = ("aspect_ratio", "resolution", "seed", "output_format", "quality", "background")


class FalProvider:
    """Submits with a webhook address, and polls the queue when no webhook comes."""

    name = "fal"

    def __init__(
        self,
        http: HttpClient,
        *,
        key: str,
        queue_url: str,
        result_hosts: tuple[str, ...],
        media_seconds: int = 86_400,
        store_payloads: bool = True,
    ) -> None:
        self._http = http
        self._queue_url = Url(queue_url)
        self._headers = {"Authorization": f"Key {key}"}
        self.result_hosts = result_hosts
        # https://fal.ai/docs/documentation/model-apis/media-expiration (read 2026-11-26)
        lifecycle = json.dumps({"expiration_duration_seconds": media_seconds})
        self._keep_headers = {"X-Fal-Object-Lifecycle-Preference": lifecycle}
        if not store_payloads:
            self._keep_headers["X-Fal-Store-IO"] = "0"

    async def submit(self, submission: Submission) -> ProviderJob:
        body = _body(submission)
        response = await send_submit(
            self._http,
            self.name,
            join_path(self._queue_url, submission.request.endpoint),
            params={"fal_webhook": submission.webhook_url} if submission.webhook_url else None,
            content=body,
            # fal would run a failing job up to ten times; retries are our decision.
            headers=self._headers | body.headers | self._keep_headers | {"X-Fal-No-Retry": "1"},
        )
        if response.status_code == HTTPStatus.SERVICE_UNAVAILABLE and _has_error_type(response):
            raise unavailable(self.name, response)
        if response.is_client_error:
            name, message = _parse_error(response.status_code, json_object(response))
            raise ERRORS.get(f"{name} on submit", ERRORS[name]).to_error(message)
        return self._job(response)

    async def poll_job(self, request: GenerationRequest, job: ProviderJob) -> ProviderResult:
        response = await self._status(self._job_url(request, job, "status"))
        if response.status_code == HTTPStatus.NOT_FOUND:
            return _not_found()
        body = json_object(response)
        if response.is_client_error:
            # Our key or our address is wrong. The job still exists, and there is time to correct it.
            raise ProviderUnavailable(f"fal: {response.status_code} on a status")
        status = canonical(field_of(body, "status"), ("COMPLETED", *_RUNNING))
        if status != "COMPLETED":
            return running(status, _RUNNING, _progress(body, is_queued=status == "IN_QUEUE"))
        # COMPLETED says that the job ended, not how: it may come with an error, and the result decides.
        if body.get("error") and body.get("error_type"):
            kind = str(body["error_type"])
            return ERRORS.get(kind, ERRORS["another error_type"]).to_result(f"{kind}: {body['error']}")
        return await self._result(request, job)

    async def cancel_job(self, request: GenerationRequest, job: ProviderJob) -> bool:
        response = await self._send("PUT", self._job_url(request, job, "cancel"))
        return response.is_success

    async def find_job(self, webhook_urls: Collection[str], begun_at: datetime) -> ProviderJob | None:
        """Return None: what fal lists of a request does not name its callback address (not confirmed).

        A webhook may still report the request.
        """
        return None

    async def _result(self, request: GenerationRequest, job: ProviderJob) -> ProviderResult:
        response = await self._send("GET", self._job_url(request, job, "response"))
        if response.status_code == HTTPStatus.BAD_REQUEST and b"in progress" in response.content[:200]:
            return ProviderResult(JobStatus.RUNNING)
        if response.status_code == HTTPStatus.NOT_FOUND:
            return _not_found()
        if not response.is_success:
            return failure(response.status_code, json_object(response))
        return success(json_object(response), request.n, response.headers.get("x-fal-billable-units"))

    async def _status(self, url: Url) -> Response:
        """Request a status with the log, and without it if that is larger than any response may be."""
        try:
            return await self._send("GET", url.copy_merge_params({"logs": "1"}))
        except ProviderUnavailable as error:
            if not isinstance(error.__cause__, ResponseTooLarge):
                raise
        return await self._send("GET", url)

    async def _send(self, method: str, url: Url) -> Response:
        return await send_repeatable(
            self._http, self.name, method, url, is_job_error=_is_job_error, headers=self._headers
        )

    def _job(self, response: Response) -> ProviderJob:
        job_id, body = accepted_job_id(self.name, response, "request_id"), json_object(response)
        urls = {purpose: body.get(f"{purpose}_url") for purpose in ("status", "response", "cancel")}
        trusted = {
            purpose: str(url) for purpose, url in urls.items() if has_same_origin(url, self._queue_url)
        }
        return ProviderJob(job_id, trusted)

    def _job_url(self, request: GenerationRequest, job: ProviderJob, purpose: str) -> Url:
        """Return the address that fal gave, or the one that its clients build, which omits the sub-path."""
        if purpose in job.urls:
            return Url(job.urls[purpose])
        app = "/".join(request.endpoint.split("/")[:2])
        suffix = "" if purpose == "response" else f"/{purpose}"
        return join_path(self._queue_url, f"{app}/requests/{job.job_id}{suffix}")


def success(output: Mapping[str, Any], n: int | None, billable_units: str | None = None) -> ProviderResult:
    """Return the result of a finished job's output; a failure if it has no usable image.

    n: how many images were requested, where that is known: a webhook does not say it.
    """
    images = output.get("images")
    if not isinstance(images, list):
        images = [images or output.get("image")]
    urls = [address_of(image) for image in images]
    files = {index: ResultFile(url) for index, url in enumerate(urls) if is_token(url)}
    blackened = _blackened(output.get("has_nsfw_concepts"), len(images))
    if images and len(blackened) == len(images):
        return ERRORS["has_nsfw_concepts"].to_result("has_nsfw_concepts")
    usable = [file for index, file in files.items() if index not in blackened]
    if not usable:
        message = f"{len(files)} usable addresses for {len(images)} images"
        mapping = ERRORS["no usable image"]
        return mapping.to_result(message) if any(images) else mapping.to_tentative_result(message)
    codes = dict.fromkeys(set(range(len(images))) - files.keys(), ResultUnusable.code)
    codes |= dict.fromkeys(blackened, ContentRejected.code)
    lost = [Undelivered(index, codes[index]) for index in sorted(codes)]
    missing = [Undelivered(index, NotDelivered.code) for index in range(len(images), n or 0)]
    return ProviderResult(
        JobStatus.SUCCEEDED,
        files=tuple(usable),
        undelivered=(*lost, *missing),
        cost=cost_of(billable_units, _UNIT),
    )


def failure(status_code: int, body: Mapping[str, Any]) -> ProviderResult:
    """Return the result of a job that ended with an error: its own status and body."""
    name, message = _parse_error(status_code, body)
    return ERRORS[name].to_result(message)


def _blackened(flags: object, images: int) -> Sequence[int]:
    """Return which images the checker made black; all of them if the flags do not match the images."""
    if not isinstance(flags, list) or not any(flags):
        return ()
    if len(flags) != images:
        return range(images)
    return [index for index, flag in enumerate(flags) if flag]


def _has_error_type(response: Response) -> bool:
    """Return whether the error is fal's own. Otherwise a gateway in front of it may have responded."""
    return bool(response.headers.get("x-fal-error-type") or json_object(response).get("error_type"))


def _is_job_error(response: Response) -> bool:
    """Return whether an error is fal's about the job, and not one of a gateway in front of fal."""
    body = json_object(response)
    return "x-fal-request-id" in response.headers and bool(body.get("detail") or body.get("error_type"))


def _parse_error(status_code: int, body: Mapping[str, Any]) -> tuple[str, str]:
    """Return the error's name in ERRORS, and its message."""
    detail = body.get("detail", body.get("error", ""))
    listed = detail if isinstance(detail, list) else []
    kinds = [item.get("type") for item in listed if isinstance(item, dict)]
    return _error_name(status_code, kinds), f"fal: {status_code} {kinds or ''} {detail!s}"


def _error_name(status_code: int, kinds: Sequence[object]) -> str:
    for kind in ("content_policy_violation", "no_media_generated"):
        if kind in kinds:
            return kind
    if status_code == HTTPStatus.UNPROCESSABLE_ENTITY:
        return "422"
    return "5xx" if status_code >= HTTPStatus.INTERNAL_SERVER_ERROR else "4xx"


def _progress(body: Mapping[str, Any], *, is_queued: bool) -> ProviderProgress | None:
    # The place in the queue is stated for requests in it only.
    position = field_of(body, "queue_position") if is_queued else None
    logs = message_lines(field_of(body, "logs"), "message")
    return progress_of(is_queued=is_queued, queue_position=position, logs=logs)


def _not_found() -> ProviderResult:
    return ERRORS["404 on a job"].to_tentative_result("fal does not know the request")


def _body(submission: Submission) -> StreamedBody:
    request, given = submission.request, submission.request.parameters
    body = {**given.get("options", {}), "prompt": request.prompt, "num_images": request.n}
    body |= parameters_named(_SAME_NAME, given)
    if given.get("size", "auto") != "auto":
        width, height = pixels(given["size"])
        body["image_size"] = {"width": width, "height": height}
    takes_one = request.endpoint in _ONE_IMAGE
    images = image_placeholders(submission.images[:1] if takes_one else submission.images)
    masks = image_placeholders([] if submission.mask is None else [submission.mask])
    urls = [data_uri(image, placeholder) for placeholder, image in images.items()]
    if urls:
        body |= {"image_url": urls[0]} if takes_one else {"image_urls": urls}
    for placeholder, mask in masks.items():
        body["mask_url"] = data_uri(mask, placeholder)
    return json_body(body, images | masks)
