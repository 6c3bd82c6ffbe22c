"""Black Forest Labs' FLUX API.

Reference: BFL's OpenAPI, its official client `blackforest`, and its pages on integration (read 2026-08-21).
Unconfirmed there, so every reading is accepted: whether an answer to a submit with a webhook names the
polling address, which HTTP status goes with `Task not found`, the bodies of 401, 402 and 429, status words
that newer clients know, and all of the webhooks (a single page tells of `X-BFL-Signature`). There is no
cancel, no list, and one image for each request.

A submit whose answer was lost stays lost: a task is found by its id alone, which the answer told.
"""

import hashlib
import hmac
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import httpx

from adapters.providers import calls
from adapters.providers.answers import cost_of, event_object, is_token, json_object, storable
from adapters.providers.masks import white_where_transparent
from adapters.providers.meanings import Meaning
from adapters.providers.uploads import UploadBody, json_body, markers
from adapters.storage.address_guard import is_allowed
from domain.catalog import pixels
from domain.errors import (
    ContentRejected,
    InvalidInput,
    ProviderFailed,
    ProviderRefused,
    ProviderThrottled,
    ResultUnusable,
    SignatureInvalid,
    SubmitAmbiguous,
)
from domain.generation import GenerationRequest
from domain.moderation import ModeratedAt
from domain.provider import (
    AttemptRef,
    JobStatus,
    ProviderEvent,
    ProviderJob,
    ProviderResult,
    ResultFile,
    Submission,
)

_ENDED = ("Request Moderated", "Content Moderated", "Error", "Failed")
_STILL_RUNNING = ("Pending", "Queued", "Reasoning", "Generating")
_UNIT = "bfl_credit"
# How models name their first input image; the second is `input_image_2`, and so on.
_IMAGE_FIELDS = {
    "flux-pro-1.1": "image_prompt",
    "flux-pro-1.1-ultra": "image_prompt",
    "flux-dev": "image_prompt",
    "flux-pro-1.0-fill": "image",
    "flux-pro-1.0-expand": "image",
}
_USUAL_IMAGE_FIELD = "input_image"
_SAME_NAME = ("aspect_ratio", "resolution", "seed", "output_format")


class BflProvider:
    """Submits, and asks at the address that the answer names, which lies in one of BFL's regions.

    polling_hosts: where our key may be sent beside `url`: host patterns, or a whole origin.
    master_key: what webhook secrets are made from; without it no webhook is asked for.
    """

    name = "bfl"

    def __init__(
        self,
        http: httpx.AsyncClient,
        *,
        key: str,
        url: str,
        polling_hosts: tuple[str, ...],
        result_hosts: tuple[str, ...],
        master_key: str | None = None,
    ) -> None:
        self._http = http
        self._url = httpx.URL(url)
        self._headers = {"x-key": key}
        self._polling_hosts = polling_hosts
        self._master_key = master_key
        self.result_hosts = result_hosts

    async def submit(self, submission: Submission) -> ProviderJob:
        webhook: dict[str, Any] = {}
        if self._master_key is not None and submission.webhook_url:
            secret = webhook_secret(self._master_key, submission.attempt)
            webhook = {"webhook_url": submission.webhook_url, "webhook_secret": secret}
        url = calls.under(self._url, f"v1/{submission.request.endpoint}")
        async with _with_bfls_mask(submission) as painted:
            body = _body(painted, webhook)
            response = await calls.submit(
                self._http, self.name, url, content=body, headers=self._headers | body.headers
            )
        if response.is_client_error:
            name = str(response.status_code)
            words = f"bfl: {name} {_words(json_object(response))}"
            raise ERRORS.get(name, ERRORS["4xx"]).raised(words)
        return self._job(response)

    async def fetch(self, request: GenerationRequest, job: ProviderJob) -> ProviderResult:
        url = self._polling_url(job)
        response = await calls.ask(self._http, self.name, "GET", url, headers=self._headers)
        if response.is_server_error:
            raise calls.unavailable(self.name, response)
        task = json_object(response)
        status = task.get("status")
        if status == "Ready":
            return _ready(task)
        if status == "Task not found" or response.status_code == httpx.codes.NOT_FOUND:
            return _not_found(job)
        if status in _ENDED:
            return ERRORS[status].failed(f"{status}: {_words(task)}")
        if not response.is_success:
            # Our key or our address is wrong. The task is still there, and so is the time to mend it.
            raise calls.unavailable(self.name, response)
        unknown = storable(status) if isinstance(status, str) and status not in _STILL_RUNNING else None
        return ProviderResult(JobStatus.RUNNING, unknown_status=unknown)

    async def cancel(self, request: GenerationRequest, job: ProviderJob) -> bool:
        """Never: BFL knows no cancel."""
        return False

    def _job(self, response: httpx.Response) -> ProviderJob:
        """The task of an answer. What is not clearly an acceptance is ambiguous: never asked again."""
        body = json_object(response)
        job_id = body.get("id")
        if not response.is_success or not isinstance(job_id, str) or not is_token(job_id):
            raise SubmitAmbiguous(f"bfl: {response.status_code} without an id")
        url = body.get("polling_url")
        urls = {"polling": str(url)} if self._may_have_our_key(url) else {}
        return ProviderJob(job_id, urls, cost_of(body.get("cost"), _UNIT))

    def _may_have_our_key(self, url: object) -> bool:
        parsed = calls.parsed_url(url)
        return calls.is_at(url, self._url) or (parsed is not None and is_allowed(parsed, self._polling_hosts))

    def _polling_url(self, job: ProviderJob) -> httpx.URL:
        """The task's own address, else the one that BFL's client falls back to."""
        if "polling" in job.urls:
            return httpx.URL(job.urls["polling"])
        return calls.under(self._url, "v1/get_result").copy_merge_params({"id": job.job_id})


class BflWebhookReader:
    """A webhook is a hint to ask, and never more: BFL signs no time, and may not sign at all.

    What keeps strangers out is the callback address, which holds a token of its attempt. A signature that
    is there and wrong is refused. master_key: the same as the provider's.
    """

    def __init__(self, master_key: str) -> None:
        self._master_key = master_key

    async def read(self, headers: Mapping[str, str], body: bytes, attempt: AttemptRef) -> ProviderEvent:
        given = headers.get("x-bfl-signature")
        if given is not None and not self._is_genuine(given, body, attempt):
            raise SignatureInvalid
        job_id = event_object(body).get("id")
        if not isinstance(job_id, str) or not is_token(job_id):
            raise SignatureInvalid
        return ProviderEvent(hashlib.sha256(body).hexdigest(), job_id, ProviderResult(JobStatus.CHECK))

    def _is_genuine(self, given: str, body: bytes, attempt: AttemptRef) -> bool:
        return hmac.compare_digest(
            given.encode(errors="replace"), signature(webhook_secret(self._master_key, attempt), body)
        )


def webhook_secret(master_key: str, attempt: AttemptRef) -> str:
    """What BFL is to sign one attempt's webhook with. It is told in plain, so each attempt has its own."""
    subject = f"bfl webhook:{attempt.generation_id}/{attempt.ordinal}"
    return hmac.new(master_key.encode(), subject.encode(), hashlib.sha256).hexdigest()


def signature(secret: str, body: bytes) -> bytes:
    """The header as BFL makes it."""
    return b"sha256=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest().encode()


def _ready(task: Mapping[str, Any]) -> ProviderResult:
    result = task.get("result")
    found = result if isinstance(result, dict) else {}
    sample = found.get("sample")
    if not isinstance(sample, str) or not is_token(sample):
        return ERRORS["Ready without a sample"].failed("Ready without a sample")
    cost = cost_of(task.get("cost"), _UNIT) or cost_of(found.get("cost"), _UNIT)
    return ProviderResult(JobStatus.SUCCEEDED, files=(ResultFile(sample),), cost=cost)


def _not_found(job: ProviderJob) -> ProviderResult:
    """The end of a task at its own address. Elsewhere it is no news: the task may lie in another region."""
    if "polling" in job.urls:
        return ERRORS["Task not found"].failed("Task not found")
    return ProviderResult(JobStatus.RUNNING, unknown_status="Task not found")


def _words(body: Mapping[str, Any]) -> str:
    """Where BFL puts its words, in any of the shapes that are told of it."""
    told = [body.get(name) for name in ("detail", "details", "error", "message", "result")]
    return " ".join(str(words) for words in told if words)


@asynccontextmanager
async def _with_bfls_mask(submission: Submission) -> AsyncIterator[Submission]:
    """BFL looks at a mask's color, and not at its alpha: what is white is painted anew."""
    if submission.mask is None:
        yield submission
        return
    async with white_where_transparent(submission.mask) as mask:
        yield replace(submission, mask=mask)


def _body(submission: Submission, webhook: Mapping[str, Any]) -> UploadBody:
    request, given = submission.request, submission.request.parameters
    body = {**given.get("options", {}), "prompt": request.prompt, **webhook}
    body |= {name: given[name] for name in _SAME_NAME if given.get(name) is not None}
    if given.get("size", "auto") != "auto":
        body["width"], body["height"] = pixels(given["size"])
    field = _IMAGE_FIELDS.get(request.endpoint, _USUAL_IMAGE_FIELD)
    images = markers(submission.images)
    masks = markers([] if submission.mask is None else [submission.mask])
    for ordinal, marker in enumerate(images, start=1):
        body[field if ordinal == 1 else f"{field}_{ordinal}"] = marker
    for marker in masks:
        body["mask"] = marker
    return json_body(body, images | masks)
