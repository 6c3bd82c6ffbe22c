"""Replicate's predictions.

Reference: replicate/replicate-python (recorded traffic), replicate/replicate-python-beta (the official
OpenAPI) and Replicate's pages on predictions, webhooks, rate limits and error codes (read 2026-08-21).
Unconfirmed there, so every reading is accepted: 200 or 202 beside the recorded 201, the bodies of 402 and
422, and the wording of moderation, which comes as a failed prediction's text with or without an E-code.

A submit whose answer was lost stays lost: a prediction holds no reference of ours, and the account's list
tells only its input and its time. Two clients may ask for the same at the same moment, so a prediction
found there could be another generation's, and that client's image would go to a stranger.
"""

import re
from base64 import b64encode
from collections.abc import Mapping
from typing import Any

import httpx

from adapters.providers import calls
from adapters.providers.answers import cost_of, is_token, json_object, storable
from adapters.providers.meanings import Meaning
from adapters.providers.uploads import form_body
from domain.catalog import pixels
from domain.errors import (
    ContentRejected,
    InvalidInput,
    NotDelivered,
    ProviderFailed,
    ProviderRefused,
    ProviderThrottled,
    ProviderTimedOut,
    ProviderUnavailable,
    ResultExpired,
    ResultUnusable,
    ServiceError,
    SubmitAmbiguous,
)
from domain.generation import GenerationRequest, Undelivered
from domain.moderation import ModeratedAt
from domain.provider import JobStatus, LocalInputFile, ProviderJob, ProviderResult, ResultFile, Submission

_MODERATION_WORDS = ("flagged as sensitive", "nsfw content detected")
_STILL_RUNNING = ("starting", "processing")
_ENDED = ("succeeded", "failed", "canceled", "aborted")
_CODE = re.compile(r"\bE[0-9]{3,4}\b")
_LARGEST_DATA_URI_BYTES = 256_000
# How models name their input images: a field that takes one, or, ending in [], a list of them.
_IMAGE_FIELDS = {
    "black-forest-labs/flux-1.1-pro": "image_prompt",
    "black-forest-labs/flux-1.1-pro-ultra": "image_prompt",
    "black-forest-labs/flux-2-pro": "input_images[]",
    "black-forest-labs/flux-2-flex": "input_images[]",
    "black-forest-labs/flux-fill-pro": "image",
    "black-forest-labs/flux-dev": "image",
    "bytedance/seedream-4": "image_input[]",
    "google/nano-banana": "image_input[]",
    "google/nano-banana-pro": "image_input[]",
}
_USUAL_IMAGE_FIELD = "input_image"
_SAME_NAME = ("aspect_ratio", "resolution", "seed", "quality", "background")
_FORMATS = {"jpeg": "jpg"}


class ReplicateProvider:
    """Submits without waiting, and asks for the prediction when no webhook comes.

    cancel_after_seconds: when Replicate is to stop a prediction by itself, so that none runs on, and costs,
    after we have given up on it.
    """

    name = "replicate"

    def __init__(
        self,
        http: httpx.AsyncClient,
        *,
        token: str,
        url: str,
        result_hosts: tuple[str, ...],
        webhook_events: tuple[str, ...] = ("completed",),
        cancel_after_seconds: int = 1800,
    ) -> None:
        self._http = http
        self._url = httpx.URL(url)
        self._headers = {"Authorization": f"Bearer {token}"}
        self._events = list(webhook_events)
        self._cancel_after = f"{cancel_after_seconds}s"
        self.result_hosts = result_hosts

    async def submit(self, submission: Submission) -> ProviderJob:
        body: dict[str, Any] = {
            "version": submission.request.endpoint,
            "input": await self._input(submission),
        }
        if submission.webhook_url:
            body |= {"webhook": submission.webhook_url, "webhook_events_filter": self._events}
        response = await calls.submit(
            self._http,
            self.name,
            calls.under(self._url, "predictions"),
            json=body,
            headers=self._headers | {"Cancel-After": self._cancel_after},
        )
        if response.is_client_error:
            raise _refusal(response)
        return self._job(response)

    async def fetch(self, request: GenerationRequest, job: ProviderJob) -> ProviderResult:
        response = await self._ask("GET", self._job_url(job, "get"))
        if response.status_code == httpx.codes.NOT_FOUND:
            return ERRORS["404 on a prediction"].failed("Replicate no longer knows the prediction")
        if not response.is_success:
            # Our token or our address is wrong. The prediction is still there, and so is the time to mend it.
            raise calls.unavailable(self.name, response)
        return result_of(json_object(response), request.n)

    async def cancel(self, request: GenerationRequest, job: ProviderJob) -> bool:
        """A prediction that has ended comes back as it was."""
        response = await self._ask("POST", self._job_url(job, "cancel"))
        return response.is_success and json_object(response).get("status") not in ("succeeded", "failed")

    async def _ask(self, method: str, url: httpx.URL) -> httpx.Response:
        response = await calls.ask(self._http, self.name, method, url, headers=self._headers)
        if response.is_server_error:
            raise calls.unavailable(self.name, response)
        return response

    def _job(self, response: httpx.Response) -> ProviderJob:
        """The prediction of an answer. What is not clearly an acceptance is ambiguous: never asked again."""
        body = json_object(response)
        job_id = body.get("id")
        if not response.is_success or not isinstance(job_id, str) or not is_token(job_id):
            raise SubmitAmbiguous(f"replicate: {response.status_code} without a prediction id")
        told = body.get("urls")
        urls = {purpose: told.get(purpose) for purpose in ("get", "cancel")} if isinstance(told, dict) else {}
        ours = {purpose: str(url) for purpose, url in urls.items() if calls.is_at(url, self._url)}
        return ProviderJob(job_id, ours)

    def _job_url(self, job: ProviderJob, purpose: str) -> httpx.URL:
        if purpose in job.urls:
            return httpx.URL(job.urls[purpose])
        return calls.under(
            self._url, f"predictions/{job.job_id}" + ("/cancel" if purpose == "cancel" else "")
        )

    async def _input(self, submission: Submission) -> dict[str, Any]:
        request, given = submission.request, submission.request.parameters
        fields = {**given.get("options", {}), "prompt": request.prompt}
        fields |= {name: given[name] for name in _SAME_NAME if given.get(name) is not None}
        if "output_format" in given:
            fields["output_format"] = _FORMATS.get(given["output_format"], given["output_format"])
        if request.n > 1:
            fields["num_outputs"] = request.n
        if given.get("size", "auto") != "auto":
            fields["width"], fields["height"] = pixels(given["size"])
            if request.endpoint.startswith("black-forest-labs/"):
                fields.setdefault("aspect_ratio", "custom")  # else these ignore width and height
        field = _IMAGE_FIELDS.get(request.endpoint.partition(":")[0], _USUAL_IMAGE_FIELD)
        if submission.images and field.endswith("[]"):
            images = [await self._reference(image) for image in submission.images]
            fields[field.removesuffix("[]")] = images
        elif submission.images:
            fields[field] = await self._reference(submission.images[0])
        if submission.mask is not None:
            fields["mask"] = await self._reference(submission.mask)
        return fields

    async def _reference(self, image: LocalInputFile) -> str:
        """The image itself if it is small, else the address of a copy at Replicate, which lives for a day.

        Raises ProviderUnavailable, ProviderThrottled, ProviderRefused: a copy alone is no prediction.
        """
        if image.path.stat().st_size <= _LARGEST_DATA_URI_BYTES:
            return f"data:{image.content_type};base64,{b64encode(image.path.read_bytes()).decode()}"
        url, form = calls.under(self._url, "files"), form_body({}, [("content", image)])
        response = await calls.ask(
            self._http, self.name, "POST", url, content=form, headers=self._headers | form.headers
        )
        if response.is_client_error:
            raise _refusal(response)
        urls = json_object(response).get("urls")
        address = urls.get("get") if isinstance(urls, dict) else None
        if not response.is_success or not isinstance(address, str) or not is_token(address):
            raise ProviderUnavailable(f"replicate: {response.status_code} on an upload")
        return address


def result_of(prediction: Mapping[str, Any], n: int | None) -> ProviderResult:
    """What a prediction says. Only its status tells that it ended: output may stand there before.

    n: how many images were asked for, where that is known: a webhook does not say it.
    """
    status = prediction.get("status")
    if status not in _ENDED:
        unknown = storable(status) if isinstance(status, str) and status not in _STILL_RUNNING else None
        return ProviderResult(JobStatus.RUNNING, unknown_status=unknown)
    if status == "failed":
        return _failure(str(prediction.get("error")))
    if status != "succeeded":
        return ERRORS[str(status)].failed(f"{status}: {prediction.get('error')}")
    if prediction.get("data_removed") is True and not prediction.get("output"):
        return ERRORS["data_removed"].failed("the result was removed")
    return _success(prediction, n)


def _success(prediction: Mapping[str, Any], n: int | None) -> ProviderResult:
    output = prediction.get("output")
    urls = output if isinstance(output, list) else [output]
    # We ask for addresses. Images in place of them would be whole megabytes in PostgreSQL.
    files = {index: ResultFile(str(url)) for index, url in enumerate(urls) if _is_address(url)}
    if not files:
        return ERRORS["no usable image"].failed(f"no usable address in {len(urls)} outputs")
    unusable = [Undelivered(index, ResultUnusable.code) for index in range(len(urls)) if index not in files]
    missing = [Undelivered(index, NotDelivered.code) for index in range(len(urls), n or 0)]
    metrics = prediction.get("metrics")
    seconds = metrics.get("predict_time") if isinstance(metrics, dict) else None
    return ProviderResult(
        JobStatus.SUCCEEDED,
        files=tuple(files.values()),
        undelivered=(*unusable, *missing),
        cost=cost_of(seconds, "predict_second"),
    )


def _is_address(url: object) -> bool:
    return isinstance(url, str) and is_token(url) and not url.startswith("data:")


def _failure(words: str) -> ProviderResult:
    """A failed prediction by its code, else by its words, which are all that community models have."""
    names = [*_CODE.findall(words), *(name for name in _MODERATION_WORDS if name in words.lower())]
    name = next((name for name in names if name in ERRORS), "failed")
    return ERRORS[name].failed(words)


def _refusal(response: httpx.Response) -> ServiceError:
    """By the problem's title, where that says more than its status."""
    body, status = json_object(response), response.status_code
    names = (str(body.get("title")), f"{status} on submit", "4xx on submit")
    name = next(name for name in names if name in ERRORS)
    return ERRORS[name].raised(f"replicate: {status} {body.get('title')}: {body.get('detail')}")
