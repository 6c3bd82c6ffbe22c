"""The JSON documents of fal's queue: submit response, status, result."""

import time
from base64 import b64encode
from datetime import UTC, datetime
from typing import Any

from simulator.core.files import Files
from simulator.core.images.render import CONTENT_TYPES
from simulator.core.jobs import Job, State
from simulator.core.steps import LogLine, log_lines
from simulator.fal.errors import failure_of

_NAMESPACES = ("workflows", "comfy")
_PIXELS_PER_UNIT = 1_000_000


def app_id(endpoint: str) -> str:
    """Return `owner/app`, the part of an endpoint that request addresses use."""
    parts = endpoint.split("/")
    return "/".join(parts[: 3 if parts[0] in _NAMESPACES else 2])


def urls(job: Job, base_url: str) -> dict[str, str]:
    response_url = f"{base_url}/{app_id(job.endpoint)}/requests/{job.id}"
    return {
        "response_url": response_url,
        "status_url": f"{response_url}/status",
        "cancel_url": f"{response_url}/cancel",
    }


def submitted(job: Job, base_url: str) -> dict[str, Any]:
    return {
        "status": "IN_QUEUE",
        "request_id": job.id,
        **urls(job, base_url),
        "queue_position": job.queue_position(job.created_at),
    }


def status(job: Job, base_url: str, *, with_logs: bool) -> dict[str, Any]:
    """Return the status. A failed or canceled job is COMPLETED too, as fal has no other final status."""
    known = {"request_id": job.id, **urls(job, base_url)}
    state = job.state()
    if state is State.QUEUED:
        return {"status": "IN_QUEUE", **known, "queue_position": job.queue_position(time.time())}
    logs = _logs(job, state) if with_logs else None
    if state is State.RUNNING:
        unknown = job.fault("unknown_status")
        word = "IN_PROGRESS" if unknown is None else unknown.text("status")
        return {"status": word, **known, "logs": logs}
    failure = failure_of(job)
    if failure is None:
        return {
            "status": "COMPLETED",
            **known,
            "logs": logs,
            "metrics": {"inference_time": _inference_seconds(job)},
        }
    body: dict[str, Any] = {
        "status": "COMPLETED",
        **known,
        "logs": logs,
        "metrics": {},
        "error": failure.error,
    }
    return body if failure.error_type is None else {**body, "error_type": failure.error_type}


async def result(job: Job, files: Files, base_url: str) -> dict[str, Any]:
    """Return the model's output, with a new address for each image on every call."""
    count = 0 if job.fault("empty_result") else job.picture.count
    if job.arguments.get("sync_mode"):
        addresses = [await _data_url(job, files, index) for index in range(count)]
    else:
        addresses = files.mint(job, base_url)[:count]
    return {
        "images": [_image(job, index, url) for index, url in enumerate(addresses)],
        "timings": {"inference": _inference_seconds(job)},
        "seed": job.picture.seed,
        "has_nsfw_concepts": [job.fault("nsfw") is not None] * count,
        "prompt": job.prompt,
    }


def billable_units(job: Job) -> str:
    """Return megapixels, each image rounded up."""
    pixels = job.picture.width * job.picture.height
    return str(-(-pixels // _PIXELS_PER_UNIT) * job.picture.count)


async def _data_url(job: Job, files: Files, index: int) -> str:
    content = b64encode(await files.image(job, index)).decode()
    return f"data:{CONTENT_TYPES[job.picture.image_format]};base64,{content}"


def _image(job: Job, index: int, url: str) -> dict[str, Any]:
    picture = job.picture
    return {
        "url": url,
        "content_type": CONTENT_TYPES[picture.image_format],
        "file_name": f"{index}.{picture.image_format}",
        "file_size": None,  # only `url` is promised; and the file is not drawn before somebody fetches it
        "width": picture.width,
        "height": picture.height,
    }


def _inference_seconds(job: Job) -> float:
    return round((job.ends_at or job.starts_at) - job.starts_at, 3)


def _logs(job: Job, state: State) -> list[dict[str, str]]:
    lines = [LogLine("Loading the model", job.starts_at), *log_lines(job)]
    if state is State.DONE and job.ends_at is not None:
        lines.append(LogLine("Done", job.ends_at))
    return [
        {
            "message": line.text,
            "level": "INFO",
            "source": "USER",
            "timestamp": datetime.fromtimestamp(line.at, UTC)
            .isoformat(timespec="milliseconds")
            .replace("+00:00", "Z"),
        }
        for line in lines
    ]
