"""fal's errors: of models (`detail` is a list) and of the infrastructure (`error_type`)."""

from dataclasses import dataclass, field
from typing import Any

from simulator.core.jobs import Job, State

INFRASTRUCTURE_STATUS = {
    "request_timeout": 504,
    "startup_timeout": 504,
    "runner_scheduling_failure": 503,
    "runner_connection_timeout": 503,
    "runner_disconnected": 503,
    "runner_connection_refused": 503,
    "runner_connection_error": 503,
    "runner_incomplete_response": 502,
    "runner_server_error": 500,
    "client_disconnected": 499,
    "client_cancelled": 499,
    "bad_request": 400,
    "internal_error": 500,
}
INFRASTRUCTURE_TEXT = {"request_timeout": "Request timed out", "client_cancelled": "Request was cancelled"}
DOCS_URL = "https://docs.fal.ai/errors/"
REFUSED = "The content could not be processed because it contained material flagged by a content checker."


@dataclass(frozen=True)
class Failure:
    """How a job failed. error_type: None for a model error, which is only in the result's body."""

    status: int
    error: str
    body: dict[str, Any]
    error_type: str | None = None
    headers: dict[str, str] = field(default_factory=dict)


def failure_of(job: Job) -> Failure | None:
    """Return why a finished job has no result; None if it has one."""
    if job.state() is State.CANCELED:
        return infrastructure_failure("client_cancelled")
    if job.fault("moderation"):
        return model_failure(422, content_policy_detail(job.prompt))
    if job.fault("fail"):
        return model_failure(500, _internal_error_detail(job.prompt))
    fault = job.fault("completed_with_error")
    return None if fault is None else infrastructure_failure(fault.text("error_type"))


def model_failure(status: int, detail: list[dict[str, Any]]) -> Failure:
    return Failure(status, f"Invalid status code: {status}", {"detail": detail})


def infrastructure_failure(error_type: str) -> Failure:
    text = INFRASTRUCTURE_TEXT.get(error_type, error_type.replace("_", " ").capitalize())
    return Failure(
        status=INFRASTRUCTURE_STATUS.get(error_type, 500),
        error=text,
        body={"detail": text, "error_type": error_type},
        error_type=error_type,
        headers={"x-fal-error-type": error_type},
    )


def content_policy_detail(prompt: str) -> list[dict[str, Any]]:
    return [_detail(["body", "prompt"], REFUSED, "content_policy_violation", {"prompt": prompt})]


def _internal_error_detail(prompt: str) -> list[dict[str, Any]]:
    return [_detail(["body"], "Internal server error", "internal_server_error", {"prompt": prompt})]


def _detail(loc: list[str], msg: str, kind: str, given: object) -> dict[str, Any]:
    return {"loc": loc, "msg": msg, "type": kind, "url": f"{DOCS_URL}#{kind}", "ctx": {}, "input": given}
