"""fal's queue API.

Reference: fal-ai/fal `projects/fal_client` and fal's pages `model-apis/queue`, `model-apis/errors`
(read 2026-08-21). Unconfirmed there, so both readings are accepted: the status of a result asked for
too early (400 is what two independent clients expect), whether a finished cancel answers 202 or 200, and
what a locked account is answered.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import httpx

from adapters.providers import calls
from adapters.providers.answers import cost_of, is_token, json_object, storable
from adapters.providers.meanings import Meaning
from adapters.providers.uploads import UploadBody, json_body, markers
from domain.catalog import pixels
from domain.errors import (
    ContentRejected,
    InvalidInput,
    NotDelivered,
    ProviderFailed,
    ProviderRefused,
    ProviderThrottled,
    ProviderUnavailable,
    ResultUnusable,
    SubmitAmbiguous,
)
from domain.generation import GenerationRequest, Undelivered
from domain.moderation import ModeratedAt
from domain.provider import JobStatus, LocalInputFile, ProviderJob, ProviderResult, ResultFile, Submission

_STILL_RUNNING = ("IN_QUEUE", "IN_PROGRESS")
_UNIT = "billable_unit"
# Models that take one input image; every other takes a list of them as `image_urls`.
_ONE_IMAGE = frozenset({"fal-ai/flux-pro/kontext", "fal-ai/flux-pro/kontext/max"})
# Under these names fal's models take what we name so too.
_SAME_NAME = ("aspect_ratio", "resolution", "seed", "output_format", "quality", "background")


class FalProvider:
    """Submits with a webhook address, and asks the queue when no webhook comes."""

    name = "fal"

    def __init__(
        self, http: httpx.AsyncClient, *, key: str, queue_url: str, result_hosts: tuple[str, ...]
    ) -> None:
        self._http = http
        self._queue_url = httpx.URL(queue_url)
        self._headers = {"Authorization": f"Key {key}"}
        self.result_hosts = result_hosts

    async def submit(self, submission: Submission) -> ProviderJob:
        body = _body(submission)
        response = await calls.submit(
            self._http,
            self.name,
            calls.under(self._queue_url, submission.request.endpoint),
            params={"fal_webhook": submission.webhook_url} if submission.webhook_url else None,
            content=body,
            # The platform would run a failing job up to ten times; we decide about repeats.
            headers=self._headers | body.headers | {"X-Fal-No-Retry": "1"},
        )
        if response.status_code == httpx.codes.SERVICE_UNAVAILABLE and _is_fals_own(response):
            raise calls.unavailable(self.name, response)
        if response.is_client_error:
            name, words = _read(response.status_code, json_object(response))
            raise ERRORS.get(f"{name} on submit", ERRORS[name]).raised(words)
        return self._job(response)

    async def fetch(self, request: GenerationRequest, job: ProviderJob) -> ProviderResult:
        response = await self._ask("GET", self._job_url(request, job, "status"))
        if response.status_code == httpx.codes.NOT_FOUND:
            return _forgotten()
        status = json_object(response)
        if response.is_client_error:
            # Our key or our address is wrong. The job is still there, and so is the time to mend it.
            raise ProviderUnavailable(f"fal: {response.status_code} on a status")
        word = status.get("status")
        if word != "COMPLETED":
            unknown = storable(word) if isinstance(word, str) and word not in _STILL_RUNNING else None
            return ProviderResult(JobStatus.RUNNING, unknown_status=unknown)
        # COMPLETED says that it ended, not how: an error may stand beside it, and the result decides.
        if status.get("error") and status.get("error_type"):
            kind = str(status["error_type"])
            return ERRORS.get(kind, ERRORS["another error_type"]).failed(f"{kind}: {status['error']}")
        return await self._result(request, job)

    async def cancel(self, request: GenerationRequest, job: ProviderJob) -> bool:
        response = await self._ask("PUT", self._job_url(request, job, "cancel"))
        return response.is_success

    async def _result(self, request: GenerationRequest, job: ProviderJob) -> ProviderResult:
        response = await self._ask("GET", self._job_url(request, job, "response"))
        if response.status_code == httpx.codes.BAD_REQUEST and b"in progress" in response.content[:200]:
            return ProviderResult(JobStatus.RUNNING)
        if response.status_code == httpx.codes.NOT_FOUND:
            return _forgotten()
        if not response.is_success:
            return failure(response.status_code, json_object(response))
        return success(json_object(response), request.n, response.headers.get("x-fal-billable-units"))

    async def _ask(self, method: str, url: httpx.URL) -> httpx.Response:
        """Raises ProviderUnavailable, ProviderThrottled; not for an error that is the job's own."""
        response = await calls.ask(self._http, self.name, method, url, headers=self._headers)
        if response.is_server_error and not _is_the_jobs(response):
            raise calls.unavailable(self.name, response)
        return response

    def _job(self, response: httpx.Response) -> ProviderJob:
        """The job of an answer. One that is not clearly an acceptance is ambiguous: never asked again."""
        body = json_object(response)
        job_id = body.get("request_id")
        if not response.is_success or not isinstance(job_id, str) or not is_token(job_id):
            raise SubmitAmbiguous(f"fal: {response.status_code} without a request id")
        urls = {purpose: body.get(f"{purpose}_url") for purpose in ("status", "response", "cancel")}
        ours = {purpose: str(url) for purpose, url in urls.items() if calls.is_at(url, self._queue_url)}
        return ProviderJob(job_id, ours)

    def _job_url(self, request: GenerationRequest, job: ProviderJob, purpose: str) -> httpx.URL:
        """fal's own address for the purpose, else the one its clients build: the sub-path is dropped."""
        if purpose in job.urls:
            return httpx.URL(job.urls[purpose])
        app = "/".join(request.endpoint.split("/")[:2])
        suffix = "" if purpose == "response" else f"/{purpose}"
        return calls.under(self._queue_url, f"{app}/requests/{job.job_id}{suffix}")


def success(output: Mapping[str, Any], n: int | None, billable_units: str | None = None) -> ProviderResult:
    """A finished job's output. Without one image that can be used, it is no success.

    n: how many were asked for, where that is known: a webhook does not say it.
    """
    images = output.get("images")
    if not isinstance(images, list):
        images = [output.get("image")]
    files = {index: ResultFile(image["url"]) for index, image in enumerate(images) if _has_address(image)}
    blackened = _blackened(output.get("has_nsfw_concepts"), len(images))
    if images and len(blackened) == len(images):
        return ERRORS["has_nsfw_concepts"].failed("has_nsfw_concepts")
    usable = [file for index, file in files.items() if index not in blackened]
    if not usable:
        return ERRORS["no usable image"].failed(f"{len(files)} usable addresses for {len(images)} images")
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
    """A finished job's error: its own status and body, as a result or a webhook carries them."""
    name, words = _read(status_code, body)
    return ERRORS[name].failed(words)


def _has_address(image: object) -> bool:
    url = image.get("url") if isinstance(image, dict) else None
    return isinstance(url, str) and is_token(url)


def _blackened(flags: object, images: int) -> Sequence[int]:
    """Which images the checker made black. Flags that do not match the images speak of all of them."""
    if not isinstance(flags, list) or not any(flags):
        return ()
    if len(flags) != images:
        return range(images)
    return [index for index, flag in enumerate(flags) if flag]


def _is_fals_own(response: httpx.Response) -> bool:
    """Whether fal says which of its troubles it was. Else something on the way there may have answered."""
    return bool(response.headers.get("x-fal-error-type") or json_object(response).get("error_type"))


def _is_the_jobs(response: httpx.Response) -> bool:
    """Whether an error is the job's own, in fal's words, and not one of what stands in front of fal."""
    body = json_object(response)
    return "x-fal-request-id" in response.headers and bool(body.get("detail") or body.get("error_type"))


def _read(status_code: int, body: Mapping[str, Any]) -> tuple[str, str]:
    """Which error it is, and its words. Its types say more than its status."""
    detail = body.get("detail", body.get("error", ""))
    listed = detail if isinstance(detail, list) else []
    kinds = [item.get("type") for item in listed if isinstance(item, dict)]
    return _name(status_code, kinds), f"fal: {status_code} {kinds or ''} {detail!s}"


def _name(status_code: int, kinds: Sequence[object]) -> str:
    for kind in ("content_policy_violation", "no_media_generated"):
        if kind in kinds:
            return kind
    if status_code == httpx.codes.UNPROCESSABLE_ENTITY:
        return "422"
    return "5xx" if status_code >= httpx.codes.INTERNAL_SERVER_ERROR else "4xx"


def _forgotten() -> ProviderResult:
    return ERRORS["404 on a job"].failed("fal no longer knows the request")


def _body(submission: Submission) -> UploadBody:
    request, given = submission.request, submission.request.parameters
    body = {**given.get("options", {}), "prompt": request.prompt, "num_images": request.n}
    body |= {name: given[name] for name in _SAME_NAME if given.get(name) is not None}
    if given.get("size", "auto") != "auto":
        width, height = pixels(given["size"])
        body["image_size"] = {"width": width, "height": height}
    takes_one = request.endpoint in _ONE_IMAGE
    images = markers(submission.images[:1] if takes_one else submission.images)
    masks = markers([] if submission.mask is None else [submission.mask])
    urls = [_data_uri(marker, image) for marker, image in images.items()]
    if urls:
        body |= {"image_url": urls[0]} if takes_one else {"image_urls": urls}
    for marker, image in masks.items():
        body["mask_url"] = _data_uri(marker, image)
    return json_body(body, images | masks)


def _data_uri(marker: str, image: LocalInputFile) -> str:
    return f"data:{image.content_type};base64,{marker}"
