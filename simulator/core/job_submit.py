"""Accepting a job: the faults around a submit that all providers with jobs share."""

import asyncio
import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import httpx
from starlette.requests import Request

from simulator.core.connection import cut
from simulator.core.delivery import Deliveries
from simulator.core.faults.kinds import Phase
from simulator.core.faults.switches import Fault, Target
from simulator.core.images.inputs import Input
from simulator.core.jobs import QUEUED_SHARE, Job, Picture, duration_seconds
from simulator.core.provider import Context

MAX_WEBHOOK_URL_CHARACTERS = 4_000


@dataclass(frozen=True)
class JobSpec:
    """A valid and accepted request.

    arguments: the request in the provider's wire format, without image bytes.
    inputs: the images to edit. deadline_at: when it is canceled if it has not ended.
    """

    target: Target
    picture: Picture
    arguments: dict[str, Any]
    base_url: str
    webhook_url: str | None = None
    inputs: Sequence[Input] = ()
    deadline_at: float | None = None


class JobAcceptor:
    """Accepts requests."""

    def __init__(self, context: Context, deliveries: Deliveries) -> None:
        self._store = context.store
        self._switches = context.switches
        self._job_seconds = context.options.job_seconds
        self._deliveries = deliveries

    async def rejecting_fault(self, target: Target) -> Fault | None:
        """Return the fault that rejects the request, if there is one."""
        active = self._switches.active_faults(Phase.ADMISSION, target)
        if latency := active.pop("submit_latency", None):
            await asyncio.sleep(latency.number("seconds"))
        if active:
            return next(active[name] for name in self._switches.kinds if name in active)
        self._switches.admitted(target)
        return None

    def accept(self, job_id: str, spec: JobSpec) -> Job:
        now = time.time()
        with self._store.transaction():
            pinned = self._switches.active_faults(Phase.JOB, replace(spec.target, request_id=job_id))
            latency = pinned.get("latency")
            lasts = (
                duration_seconds(job_id, self._job_seconds) if latency is None else latency.number("seconds")
            )
            ends_at = None if "hang" in pinned else now + lasts
            is_late = spec.deadline_at is not None and (ends_at is None or ends_at > spec.deadline_at)
            job = Job(
                id=job_id,
                endpoint=spec.target.endpoint,
                prompt=spec.target.prompt,
                picture=spec.picture,
                arguments=spec.arguments,
                faults=tuple(pinned.values()),
                webhook_url=spec.webhook_url,
                base_url=spec.base_url,
                created_at=now,
                starts_at=now + lasts * QUEUED_SHARE,
                ends_at=ends_at,
                canceled_at=spec.deadline_at if is_late else None,
            )
            webhooks = {} if job.webhook_url is None else self._deliveries.format.schedule(job)
            self._store.add_job(job, webhooks, [one.png for one in spec.inputs])
            entry: dict[str, Any] = {"endpoint": job.endpoint, "has_webhook": job.webhook_url is not None}
            if spec.inputs:
                entry["inputs"] = [one.source.entry() for one in spec.inputs]
            self._store.log("submit_accepted", job.id, job.prompt, **entry)
        self._deliveries.wake()
        return job

    async def before_response(self, job: Job, request: Request) -> dict[str, Fault]:
        """Apply the faults between a job's start and the response to its submit."""
        active = self._switches.active_faults(Phase.ANSWER, Target(job.endpoint, job.prompt, job.id))
        if "early_webhook" in active:
            self._store.end_job(job.id)
            await self._deliveries.send_now(job.id)
        if "lost_answer" in active:
            cut(request)
        return active


def new_seed() -> int:
    return int(uuid.uuid4().int % 2**32)


def is_webhook_url(url: str) -> bool:
    """Return whether it is a URL that a webhook can be sent to."""
    try:
        parts = httpx.URL(url)
    except httpx.InvalidURL:
        return False
    is_whole = parts.scheme in ("http", "https") and bool(parts.host) and (parts.port or 0) < 65_536
    return is_whole and len(url) <= MAX_WEBHOOK_URL_CHARACTERS
