"""fal's queue API.

Reference: fal-ai/fal `projects/fal_client` and fal's pages `model-apis/queue`, `model-apis/errors`
(read 2026-08-21). Unconfirmed there, so both readings are accepted: the status of a result asked for
too early (400 is what two independent clients expect), and whether a finished cancel answers 202 or 200.
"""

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

import httpx

from adapters.providers.answers import is_token, json_object, retry_after_seconds, storable
from domain.catalogue import pixels
from domain.errors import (
    ContentRejected,
    InvalidInput,
    PermanentError,
    ProviderFailed,
    ProviderRefused,
    ProviderThrottled,
    ProviderUnavailable,
    ResultUnusable,
    ServiceError,
    SubmitAmbiguous,
)
from domain.generation import GenerationRequest
from domain.provider import ProviderJob, ProviderResult, ResultFile, Submission, Verdict

_STILL_RUNNING = ("IN_QUEUE", "IN_PROGRESS")
_MOST_WORDS = 2000


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
        url = self._url(submission.request.endpoint)
        try:
            response = await self._http.post(
                url,
                params={"fal_webhook": submission.webhook_url},
                json=_input(submission.request),
                # The platform would run a failing job up to ten times; we decide about repeats.
                headers=self._headers | {"X-Fal-No-Retry": "1"},
            )
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout) as error:
            raise ProviderUnavailable(f"fal: {type(error).__name__}") from error
        except httpx.HTTPError as error:
            raise SubmitAmbiguous(f"fal: {type(error).__name__}") from error
        if response.status_code == httpx.codes.TOO_MANY_REQUESTS:
            raise ProviderThrottled("fal: 429", retry_after_seconds=retry_after_seconds(response))
        if response.status_code == httpx.codes.SERVICE_UNAVAILABLE:
            raise ProviderUnavailable("fal: 503", retry_after_seconds=retry_after_seconds(response))
        if response.is_client_error:
            raise _refusal(response.status_code, json_object(response))
        return self._job(submission.request, response)

    async def fetch(self, request: GenerationRequest, job: ProviderJob) -> ProviderResult:
        response = await self._ask("GET", self._job_url(request, job, "status"))
        if response.status_code == httpx.codes.NOT_FOUND:
            return _forgotten()
        status = json_object(response)
        if response.is_client_error:
            # Our key or our address is wrong. The job is still there, and so is the time to mend it.
            raise ProviderUnavailable(f"fal: {response.status_code} on a status")
        if status.get("status") != "COMPLETED":
            return ProviderResult(Verdict.RUNNING)
        # COMPLETED says that it ended, not how: an error may stand beside it, and the result decides.
        if status.get("error") and status.get("error_type"):
            return _failed(ProviderFailed, f"{status['error_type']}: {status['error']}")
        return await self._result(request, job)

    async def cancel(self, request: GenerationRequest, job: ProviderJob) -> bool:
        response = await self._ask("PUT", self._job_url(request, job, "cancel"))
        return response.is_success

    async def _result(self, request: GenerationRequest, job: ProviderJob) -> ProviderResult:
        response = await self._ask("GET", self._job_url(request, job, "response"))
        if response.status_code == httpx.codes.BAD_REQUEST and b"in progress" in response.content[:200]:
            return ProviderResult(Verdict.RUNNING)
        if response.status_code == httpx.codes.NOT_FOUND:
            return _forgotten()
        if not response.is_success:
            return failure(response.status_code, json_object(response))
        return success(json_object(response), response.headers.get("x-fal-billable-units"))

    async def _ask(self, method: str, url: httpx.URL) -> httpx.Response:
        """A request that is safe to repeat. Raises ProviderUnavailable, ProviderThrottled."""
        try:
            response = await self._http.request(method, url, headers=self._headers)
        except httpx.HTTPError as error:
            raise ProviderUnavailable(f"fal: {type(error).__name__}") from error
        if response.status_code == httpx.codes.TOO_MANY_REQUESTS:
            raise ProviderThrottled("fal: 429", retry_after_seconds=retry_after_seconds(response))
        is_the_jobs_own = "x-fal-request-id" in response.headers
        if response.is_redirect or (response.is_server_error and not is_the_jobs_own):
            raise ProviderUnavailable(
                f"fal: {response.status_code}", retry_after_seconds=retry_after_seconds(response)
            )
        return response

    def _url(self, path: str) -> httpx.URL:
        return self._queue_url.copy_with(path=self._queue_url.path.rstrip("/") + "/" + quote(path, safe="/"))

    def _job(self, request: GenerationRequest, response: httpx.Response) -> ProviderJob:
        """The job of an answer. One that is not clearly an acceptance is ambiguous: never asked again."""
        body = json_object(response)
        job_id = body.get("request_id")
        if not response.is_success or not isinstance(job_id, str) or not is_token(job_id):
            raise SubmitAmbiguous(f"fal: {response.status_code} without a request id")
        urls = {purpose: body.get(f"{purpose}_url") for purpose in ("status", "response", "cancel")}
        return ProviderJob(job_id, {purpose: str(url) for purpose, url in urls.items() if self._is_ours(url)})

    def _is_ours(self, url: object) -> bool:
        """Whether our key may be sent there: only to the queue host that we were configured with."""
        if not isinstance(url, str) or not is_token(url):
            return False
        try:
            parsed = httpx.URL(url)
        except httpx.InvalidURL:
            return False
        # `raw_host`: the decoded form of a broken international name raises.
        there = (parsed.scheme, parsed.raw_host, parsed.port, parsed.userinfo)
        return there == (self._queue_url.scheme, self._queue_url.raw_host, self._queue_url.port, b"")

    def _job_url(self, request: GenerationRequest, job: ProviderJob, purpose: str) -> httpx.URL:
        """fal's own address for the purpose, else the one its clients build: the sub-path is dropped."""
        if purpose in job.urls:
            return httpx.URL(job.urls[purpose])
        app = "/".join(request.endpoint.split("/")[:2])
        suffix = "" if purpose == "response" else f"/{purpose}"
        return self._url(f"{app}/requests/{job.job_id}{suffix}")


def success(output: Mapping[str, Any], billable_units: str | None = None) -> ProviderResult:
    """A finished job's output. No image in it, or a black one, is no success."""
    images = output.get("images")
    if not isinstance(images, list):
        images = [output.get("image")]
    urls = [image.get("url") for image in images if isinstance(image, dict)]
    files = tuple(ResultFile(url) for url in urls if isinstance(url, str) and is_token(url))
    flags = output.get("has_nsfw_concepts")
    if isinstance(flags, list) and any(flags):
        return _failed(ContentRejected, "has_nsfw_concepts")
    if not files or len(files) < len(images):
        return _failed(ResultUnusable, f"{len(files)} usable addresses for {len(images)} images")
    return ProviderResult(Verdict.SUCCEEDED, files=files, billable_units=billable_units)


def failure(status_code: int, body: Mapping[str, Any]) -> ProviderResult:
    """A finished job's error: its own status and body, as a result or a webhook carries them."""
    error = _refusal(status_code, body)
    return ProviderResult(Verdict.FAILED, code=error.code, provider_message=str(error))


def _refusal(status_code: int, body: Mapping[str, Any]) -> PermanentError:
    detail = body.get("detail", body.get("error", ""))
    kinds = (
        [item.get("type") for item in detail if isinstance(item, dict)] if isinstance(detail, list) else []
    )
    words = storable(f"fal: {status_code} {kinds or ''} {detail!s}"[:_MOST_WORDS])
    if "content_policy_violation" in kinds:
        return ContentRejected(words)
    if "no_media_generated" in kinds or status_code >= httpx.codes.INTERNAL_SERVER_ERROR:
        return ProviderFailed(words)
    if status_code == httpx.codes.UNPROCESSABLE_ENTITY:
        return InvalidInput(words)
    return ProviderRefused(words)


def _forgotten() -> ProviderResult:
    return _failed(ProviderFailed, "fal no longer knows the request")


def _failed(error: type[ServiceError], words: str) -> ProviderResult:
    return ProviderResult(Verdict.FAILED, code=error.code, provider_message=storable(words[:_MOST_WORDS]))


def _input(request: GenerationRequest) -> dict[str, Any]:
    width, height = pixels(request.parameters["size"])
    body = {
        "prompt": request.prompt,
        "num_images": request.n,
        "image_size": {"width": width, "height": height},
        "output_format": request.parameters["output_format"],
        "seed": request.parameters.get("seed"),
    }
    return {name: value for name, value in body.items() if value is not None}
