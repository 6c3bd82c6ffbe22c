"""The JSON documents of a task: submit response, result, webhook."""

import time
from datetime import UTC, datetime
from typing import Any

from simulator.core.faults.switches import Fault
from simulator.core.files import Files
from simulator.core.jobs import Job, State

PENDING = "Pending"
READY = "Ready"
NOT_FOUND = "Task not found"
_MODERATED = {"input": "Request Moderated", "output": "Content Moderated"}


def submitted(job: Job, polling_url: str, active: dict[str, Fault]) -> dict[str, Any]:
    """Return the response to a submit; with a webhook, it has no polling address."""
    body: dict[str, Any] = {"id": job.id}
    if job.webhook_url is None or "hybrid_answer" in active:
        body["polling_url"] = polling_url
    if job.webhook_url is not None:
        body |= {"status": PENDING, "webhook_url": job.webhook_url}
    charged = {key: job.arguments[key] for key in ("cost", "input_mp", "output_mp")}
    return body | (dict.fromkeys(charged) if "no_cost" in active else charged)


def status_of(job: Job) -> str:
    """Return a documented status, or one that a fault sets."""
    if job.state() is not State.DONE:
        unknown = job.fault("unknown_status")
        return PENDING if unknown is None else unknown.text("status")
    if moderation := job.fault("moderation"):
        return _MODERATED.get(moderation.text("stage"), moderation.text("stage"))
    if ends_as := job.fault("ends_as"):
        return ends_as.text("status")
    return "Error" if job.fault("fail") else READY


def result(job: Job, files: Files, base_url: str) -> dict[str, Any]:
    status = status_of(job)
    return {
        "id": job.id,
        "status": status,
        "result": _result(job, files, base_url) if status == READY else None,
        "progress": _progress(job),
        "details": _details(job, status),
        "preview": None,
    }


def not_found(task_id: str) -> dict[str, Any]:
    nothing: dict[str, Any] = dict.fromkeys(("result", "progress", "details", "preview"))
    return {"id": task_id, "status": NOT_FOUND, **nothing}


def webhook(job: Job, files: Files) -> dict[str, Any]:
    """Return a webhook's body, by the only page that documents it."""
    moment = datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    status = status_of(job)
    if status == READY:
        result = _result(job, files, job.base_url)
        sample = {key: result[key] for key in ("sample", "prompt", "seed")}
        return {"id": job.id, "status": READY, "result": sample, "timestamp": moment}
    is_moderated = job.fault("moderation") is not None
    return {
        "id": job.id,
        "status": "Error",
        "error": "content_policy_violation" if is_moderated else "generation_failed",
        "message": status,
        "timestamp": moment,
    }


def _result(job: Job, files: Files, base_url: str) -> dict[str, Any]:
    ended_at = job.ends_at or job.starts_at
    return {
        "sample": None if job.fault("empty_result") else files.mint(job, base_url)[0],
        "prompt": job.prompt,
        "seed": job.picture.seed,
        "start_time": job.starts_at,
        "end_time": ended_at,
        "duration": round(ended_at - job.starts_at, 3),
    }


def _progress(job: Job) -> float | None:
    """Return the progress: None before the start and after the end; constant for a task that hangs."""
    if job.state() is not State.RUNNING:
        return None
    if job.ends_at is None:
        return 0.5
    return round((time.time() - job.starts_at) / (job.ends_at - job.starts_at), 2)


def _details(job: Job, status: str) -> dict[str, Any] | None:
    if job.state() is not State.DONE:
        return None
    if moderation := job.fault("moderation"):
        return {"Moderation Reasons": [f"The {moderation.text('stage')} was flagged."]}
    return None if status == READY else {"error": "The task failed."}
