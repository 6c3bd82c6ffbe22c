"""Taking a request in: what can go wrong around it in the same way at every provider that has jobs."""

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
    """A request that makes sense and was let in.

    arguments: the request as the provider's own wire format puts it, without image bytes.
    inputs: the pictures to edit. deadline_at: when it is cancelled if it has not ended.
    """

    target: Target
    picture: Picture
    arguments: dict[str, Any]
    base_url: str
    webhook_url: str | None = None
    inputs: Sequence[Input] = ()
    deadline_at: float | None = None


class Intake:
    """Accepts requests."""

    def __init__(self, context: Context, deliveries: Deliveries) -> None:
        self._store = context.store
        self._switches = context.switches
        self._job_seconds = context.options.job_seconds
        self._deliveries = deliveries

    async def admit(self, target: Target) -> Fault | None:
        """The fault that turns the request away, if one does."""
        active = self._switches.active_faults(Phase.ADMISSION, target)
        if latency := active.pop("submit_latency", None):
            await asyncio.sleep(latency.number("seconds"))
        if active:
            return next(active[name] for name in self._switches.kinds if name in active)
        self._switches.admitted(target)
        return None

    def accept(self, job_id: str, order: JobSpec) -> Job:
        now = time.time()
        with self._store.transaction():
            pinned = self._switches.active_faults(Phase.JOB, replace(order.target, request_id=job_id))
            latency = pinned.get("latency")
            lasts = (
                duration_seconds(job_id, self._job_seconds) if latency is None else latency.number("seconds")
            )
            ends_at = None if "hang" in pinned else now + lasts
            is_late = order.deadline_at is not None and (ends_at is None or ends_at > order.deadline_at)
            job = Job(
                id=job_id,
                endpoint=order.target.endpoint,
                prompt=order.target.prompt,
                picture=order.picture,
                arguments=order.arguments,
                faults=tuple(pinned.values()),
                webhook_url=order.webhook_url,
                base_url=order.base_url,
                created_at=now,
                starts_at=now + lasts * QUEUED_SHARE,
                ends_at=ends_at,
                canceled_at=order.deadline_at if is_late else None,
            )
            webhooks = {} if job.webhook_url is None else self._deliveries.format.schedule(job)
            self._store.add_job(job, webhooks, [one.png for one in order.inputs])
            told: dict[str, Any] = {"endpoint": job.endpoint, "has_webhook": job.webhook_url is not None}
            if order.inputs:
                told["inputs"] = [one.source.entry() for one in order.inputs]
            self._store.log("submit_accepted", job.id, job.prompt, **told)
        self._deliveries.wake()
        return job

    async def before_answer(self, job: Job, request: Request) -> dict[str, Fault]:
        """What strikes between a job's start and the answer that says so."""
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
    """Whether something could listen there."""
    try:
        parts = httpx.URL(url)
    except httpx.InvalidURL:
        return False
    is_whole = parts.scheme in ("http", "https") and bool(parts.host) and (parts.port or 0) < 65_536
    return is_whole and len(url) <= MAX_WEBHOOK_URL_CHARACTERS
