"""The prediction object, as it is now or in an event."""

from base64 import b64encode
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from simulator.core.files import Files
from simulator.core.images.render import CONTENT_TYPES
from simulator.core.jobs import Job, State
from simulator.core.steps import log_lines
from simulator.replicate.models import MODELS

FLAGGED = "The input or output was flagged as sensitive. Please try again with different inputs."
NSFW = "NSFW content detected. Try running it again, or try a different prompt."


@dataclass(frozen=True)
class View:
    """A prediction at one time. has_output: whether it has images, whatever its status."""

    status: str
    has_output: bool


def view_of(job: Job) -> View:
    state = job.state()
    if state is State.QUEUED:
        return View("starting", has_output=False)
    if state is State.RUNNING:
        unknown = job.fault("unknown_status")
        return View("processing" if unknown is None else unknown.text("status"), has_output=False)
    if state is State.CANCELED:
        return View("aborted" if _is_aborted(job) else "canceled", has_output=False)
    failed = error_of(job) is not None
    return View("failed" if failed else "succeeded", has_output=not failed)


def error_of(job: Job) -> str | None:
    """Return why a prediction that ran to its end has failed."""
    if moderation := job.fault("moderation"):
        code = moderation.text("code")
        return NSFW if code.lower() == "nsfw" else f"{FLAGGED} ({code})"
    failure = job.fault("fail")
    return None if failure is None else f"Prediction failed while it was running. ({failure.text('code')})"


async def prediction(job: Job, files: Files, base_url: str, view: View | None = None) -> dict[str, Any]:
    """Return the prediction object. view: at another time than now."""
    view = view_of(job) if view is None else view
    is_removed = files.is_gone(job)
    output = _output(job, files.mint(job, base_url)) if view.has_output and not is_removed else None
    return _document(job, base_url, view, output, is_removed=is_removed)


async def early_prediction(job: Job, files: Files, base_url: str) -> dict[str, Any]:
    """Return the recorded response to `Prefer: wait`: processing, with the images as data URLs."""
    content_type = CONTENT_TYPES[job.picture.image_format]
    drawn = [b64encode(await files.image(job, index)).decode() for index in range(job.picture.count)]
    output = _output(job, [f"data:{content_type};base64,{text}" for text in drawn])
    return _document(job, base_url, View("processing", has_output=True), output, is_removed=False)


def _document(job: Job, base_url: str, view: View, output: Any, *, is_removed: bool) -> dict[str, Any]:
    is_over = view.status in ("succeeded", "failed", "canceled", "aborted")
    ended_at = job.ended_at() if is_over else None
    has_started = view.status not in ("starting", "aborted") and (
        ended_at is None or ended_at >= job.starts_at
    )
    address = f"{base_url}/v1/predictions/{job.id}"
    return {
        "id": job.id,
        "model": job.endpoint,
        "version": MODELS[job.endpoint].shown_version,
        "input": {} if is_removed else job.arguments["input"],
        "output": output,
        "logs": _logs(job) if has_started and not is_removed else "",
        "error": error_of(job) if view.status == "failed" else None,
        "status": view.status,
        "created_at": moment(job.created_at),
        "started_at": moment(job.starts_at) if has_started else None,
        "completed_at": None if ended_at is None else moment(ended_at),
        "data_removed": is_removed,
        "deadline": _moment_or_none(job.arguments["deadline_at"]),
        "deployment": None,
        "source": "api",
        "metrics": _metrics(job, view, ended_at, has_started=has_started),
        **_callback(job),
        "urls": {
            "get": address,
            "cancel": f"{address}/cancel",
            "web": f"https://replicate.com/p/{job.id}",
        },
    }


def _logs(job: Job) -> str:
    lines = [f"Using seed: {job.picture.seed}", *(line.text for line in log_lines(job))]
    return "\n".join([*lines, ""])


def _callback(job: Job) -> dict[str, str]:
    """Return the callback address as a prediction shows it. Which field has it, if any, is not confirmed."""
    if job.webhook_url is None or job.fault("hide_webhook") is not None:
        return {}
    name = "webhook" if job.fault("old_webhook_field") is None else "webhook_completed"
    return {name: job.webhook_url}


def moment(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _moment_or_none(at: float | None) -> str | None:
    return None if at is None else moment(at)


def _metrics(job: Job, view: View, ended_at: float | None, *, has_started: bool) -> dict[str, float]:
    if ended_at is None:
        return {}
    metrics = {"total_time": round(ended_at - job.created_at, 6)}
    if has_started:
        metrics["predict_time"] = round(ended_at - job.starts_at, 6)
    if view.has_output:
        metrics["image_count"] = _count(job)
    return metrics


def _count(job: Job) -> int:
    if job.fault("empty_result"):
        return 0
    partial = job.fault("partial_result")
    return max(0, job.picture.count - (0 if partial is None else int(partial.number("missing"))))


def _output(job: Job, addresses: list[str]) -> Any:
    addresses = addresses[: _count(job)]
    if MODELS[job.endpoint].gives_list:
        return addresses
    return addresses[0] if addresses else None


def _is_aborted(job: Job) -> bool:
    """Return whether its deadline came before its start."""
    deadline_at = job.arguments["deadline_at"]
    return deadline_at is not None and job.canceled_at == deadline_at and deadline_at <= job.starts_at
