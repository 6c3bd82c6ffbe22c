"""Replicate's predictions.

Reference: replicate/replicate-python (recorded traffic), replicate/replicate-python-beta (the official
OpenAPI) and Replicate's pages on predictions, webhooks, rate limits and error codes (read 2026-08-21).
Not confirmed there, so every reading is accepted: 200 or 202 instead of the recorded 201, the bodies of 402
and 422, and the wording of moderation, which is a failed prediction's text with or without an E-code.

A submit whose response was lost is looked up in the account's list by its callback address, which names the
attempt and is a secret of ours. Not confirmed: that a listed prediction carries it, as `webhook` or as
`webhook_completed`. Nothing else identifies it: two clients may request the same at the same moment, so a
prediction with the same input could be another generation's. That it is not in the list proves nothing.
"""

import re
from base64 import b64encode
from collections.abc import Collection, Mapping
from datetime import datetime, timedelta
from http import HTTPStatus
from typing import Any

from adapters.providers.http.gateways import address_of, canonical, field_of
from adapters.providers.http.jobs import accepted_job_id, running
from adapters.providers.http.progress import log_lines, progress_bar_percent, progress_of
from adapters.providers.http.request_bodies import data_uri, form_body, parameters_named
from adapters.providers.http.requests import (
    has_same_origin,
    join_path,
    parse_url,
    send_repeatable,
    send_submit,
    unavailable,
)
from adapters.providers.http.responses import cost_of, is_token, json_object
from adapters.providers.replicate.errors import ERRORS
from adapters.transport.http import HttpClient, Response, Url
from domain.errors import NotDelivered, ProviderUnavailable, ResultUnusable, ServiceError
from domain.generation import GenerationRequest, Undelivered
from domain.model_schema import pixels
from domain.provider import JobStatus, LocalInputFile, ProviderJob, ProviderResult, ResultFile, Submission

_MODERATION_WORDS = ("flagged as sensitive", "nsfw content detected")
_RUNNING = ("starting", "processing")
_ENDED = ("succeeded", "failed", "canceled", "aborted")
_OTHER_SPELLINGS = {"cancelled": "canceled"}
_CODE = re.compile(r"\bE[0-9]{3,4}\b")
_MAX_DATA_URI_BYTES = 256_000
# The list is read around the time of the submit, by our clock.
_LOOK_UP_MARGIN = timedelta(minutes=5)
_MAX_LOOK_UP_PAGES = 20
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
_DEFAULT_IMAGE_FIELD = "input_image"
_SAME_NAME = ("aspect_ratio", "resolution", "seed", "quality", "background")
_FORMATS = {"jpeg": "jpg"}


class ReplicateProvider:
    """Submits without waiting, and polls the prediction when no webhook comes.

    cancel_after_seconds: when Replicate is to cancel a prediction automatically, so that none continues, and
    costs, after we have given up on it.
    """

    name = "replicate"

    def __init__(
        self,
        http: HttpClient,
        *,
        token: str,
        url: str,
        result_hosts: tuple[str, ...],
        webhook_events: tuple[str, ...] = ("completed",),
        cancel_after_seconds: int = 1800,
    ) -> None:
        self._http = http
        self._url = Url(url)
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
        response = await send_submit(
            self._http,
            self.name,
            join_path(self._url, "predictions"),
            json=body,
            headers=self._headers | {"Cancel-After": self._cancel_after},
        )
        if response.is_client_error:
            raise _submit_error(response)
        return self._job(response)

    async def poll_job(self, request: GenerationRequest, job: ProviderJob) -> ProviderResult:
        response = await self._send("GET", self._job_url(job, "get"))
        if response.status_code == HTTPStatus.NOT_FOUND:
            return ERRORS["404 on a prediction"].to_tentative_result("not known")
        if not response.is_success:
            # Our token or our address is wrong. The prediction still exists, and there is time to correct it.
            raise unavailable(self.name, response)
        return result_of(json_object(response), request.n)

    async def cancel_job(self, request: GenerationRequest, job: ProviderJob) -> bool:
        """Cancel. A prediction that has ended is returned unchanged."""
        response = await self._send("POST", self._job_url(job, "cancel"))
        return response.is_success and json_object(response).get("status") not in ("succeeded", "failed")

    async def find_job(self, webhook_urls: Collection[str], begun_at: datetime) -> ProviderJob | None:
        """Look through the list of the minutes around the submit for exactly this callback address."""
        window = {
            "created_after": (begun_at - _LOOK_UP_MARGIN).isoformat(),
            "created_before": (begun_at + _LOOK_UP_MARGIN).isoformat(),
        }
        url: Url | None = join_path(self._url, "predictions").copy_merge_params(window)
        for _ in range(_MAX_LOOK_UP_PAGES):
            if url is None:
                break
            response = await self._send("GET", url)
            if not response.is_success:
                raise unavailable(self.name, response)
            page = json_object(response)
            for prediction in page.get("results") or ():
                is_ours = any(address in webhook_urls for address in _callback_addresses(prediction))
                if is_ours and is_token(prediction.get("id")):
                    return ProviderJob(prediction["id"], self._trusted_urls(prediction))
            url = parse_url(page.get("next")) if has_same_origin(page.get("next"), self._url) else None
        return None

    async def _send(self, method: str, url: Url) -> Response:
        return await send_repeatable(self._http, self.name, method, url, headers=self._headers)

    def _job(self, response: Response) -> ProviderJob:
        job_id = accepted_job_id(self.name, response, "id")
        return ProviderJob(job_id, self._trusted_urls(json_object(response)))

    def _trusted_urls(self, prediction: Mapping[str, Any]) -> dict[str, str]:
        """Return the prediction's own addresses, of those that may receive our token."""
        stated = prediction.get("urls")
        urls = stated if isinstance(stated, dict) else {}
        return {
            purpose: str(urls[purpose])
            for purpose in ("get", "cancel")
            if has_same_origin(urls.get(purpose), self._url)
        }

    def _job_url(self, job: ProviderJob, purpose: str) -> Url:
        if purpose in job.urls:
            return Url(job.urls[purpose])
        suffix = "/cancel" if purpose == "cancel" else ""
        return join_path(self._url, f"predictions/{job.job_id}{suffix}")

    async def _input(self, submission: Submission) -> dict[str, Any]:
        request, given = submission.request, submission.request.parameters
        fields = {**given.get("options", {}), "prompt": request.prompt}
        fields |= parameters_named(_SAME_NAME, given)
        if "output_format" in given:
            fields["output_format"] = _FORMATS.get(given["output_format"], given["output_format"])
        if request.n > 1:
            fields["num_outputs"] = request.n
        if given.get("size", "auto") != "auto":
            fields["width"], fields["height"] = pixels(given["size"])
            if request.endpoint.startswith("black-forest-labs/"):
                fields.setdefault("aspect_ratio", "custom")  # else these ignore width and height
        field = _IMAGE_FIELDS.get(request.endpoint.partition(":")[0], _DEFAULT_IMAGE_FIELD)
        if submission.images and field.endswith("[]"):
            images = [await self._reference(image) for image in submission.images]
            fields[field.removesuffix("[]")] = images
        elif submission.images:
            fields[field] = await self._reference(submission.images[0])
        if submission.mask is not None:
            fields["mask"] = await self._reference(submission.mask)
        return fields

    async def _reference(self, image: LocalInputFile) -> str:
        """Return a small image as a data URI; upload a larger one to Replicate, where it lives for a day.

        Raises ProviderUnavailable, ProviderThrottled, ProviderRefused: an upload is not a prediction yet.
        """
        if image.path.stat().st_size <= _MAX_DATA_URI_BYTES:
            return data_uri(image, b64encode(image.path.read_bytes()).decode())
        form = form_body({}, [("content", image)])
        response = await send_repeatable(
            self._http,
            self.name,
            "POST",
            join_path(self._url, "files"),
            content=form,
            headers=self._headers | form.headers,
        )
        if response.is_client_error:
            raise _submit_error(response)
        urls = json_object(response).get("urls")
        address = urls.get("get") if isinstance(urls, dict) else None
        if not response.is_success or not is_token(address):
            raise ProviderUnavailable(f"replicate: {response.status_code} on an upload")
        return address


def result_of(prediction: Mapping[str, Any], n: int | None) -> ProviderResult:
    """Return a prediction's result. Only its status says that it ended: there may be output before.

    n: how many images were requested, where that is known: a webhook does not say it.
    """
    status = canonical(field_of(prediction, "status"), (*_RUNNING, *_ENDED, *_OTHER_SPELLINGS))
    status = _OTHER_SPELLINGS.get(str(status), status)
    if status not in _ENDED:
        logs = log_lines(field_of(prediction, "logs"))
        percent = progress_bar_percent(logs)
        return running(
            status, _RUNNING, progress_of(is_queued=status == "starting", percent=percent, logs=logs)
        )
    if status == "failed":
        return _failure(str(prediction.get("error")))
    if status != "succeeded":
        return ERRORS[str(status)].to_result(f"{status}: {prediction.get('error')}")
    if prediction.get("data_removed") is True and not prediction.get("output"):
        return ERRORS["data_removed"].to_result("the result was removed")
    return _success(prediction, n)


def _callback_addresses(prediction: object) -> tuple[object, ...]:
    if not isinstance(prediction, dict):
        return ()
    return (prediction.get("webhook"), prediction.get("webhook_completed"))


def _success(prediction: Mapping[str, Any], n: int | None) -> ProviderResult:
    output = prediction.get("output")
    listed = output if isinstance(output, list) else [output]
    urls = [item if isinstance(item, str) else address_of(item) for item in listed]
    # We request addresses. Images instead of them would be megabytes in PostgreSQL.
    files = {index: ResultFile(str(url)) for index, url in enumerate(urls) if _is_address(url)}
    if not files:
        mapping, message = ERRORS["no usable image"], f"no usable address in {len(urls)} outputs"
        return mapping.to_result(message) if any(urls) else mapping.to_tentative_result(message)
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
    return is_token(url) and not url.startswith("data:")


def _failure(message: str) -> ProviderResult:
    """Return a failed prediction's result, by its code or, as community models have none, its message."""
    names = [*_CODE.findall(message), *(name for name in _MODERATION_WORDS if name in message.lower())]
    name = next((name for name in names if name in ERRORS), "failed")
    return ERRORS[name].to_result(message)


def _submit_error(response: Response) -> ServiceError:
    """Return the error of the problem's title where it is in the table, else that of the status."""
    body, status = json_object(response), response.status_code
    names = (str(body.get("title")), f"{status} on submit", "4xx on submit")
    name = next(name for name in names if name in ERRORS)
    return ERRORS[name].to_error(f"replicate: {status} {body.get('title')}: {body.get('detail')}")
