"""A job is a row with times in it: its state follows from the clock, so a restart loses nothing."""

import hashlib
import time
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from simulator.core.faults.switches import Fault

QUEUED_SHARE = 0.25  # of a job's time is spent waiting for a machine
QUEUE_LENGTH = 3  # jobs that seem to be ahead of a new one


class State(StrEnum):
    """Where a job stands."""

    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    CANCELED = "canceled"


@dataclass(frozen=True)
class Picture:
    """What to draw. image_format: png, jpeg or webp."""

    width: int
    height: int
    image_format: str
    seed: int
    count: int


@dataclass(frozen=True)
class Job:
    """An accepted request. Times are unix seconds.

    arguments: the request as the provider's own wire format puts it.
    faults: those that shape the job itself; the others are looked up when they may take effect.
    base_url: where the client that submitted it reached us.
    ends_at: None if it hangs for ever. canceled_at: may lie ahead, for a job that will not make its deadline.
    """

    id: str
    endpoint: str
    prompt: str
    picture: Picture
    arguments: dict[str, Any]
    faults: tuple[Fault, ...]
    webhook_url: str | None
    base_url: str
    created_at: float
    starts_at: float
    ends_at: float | None
    canceled_at: float | None = None

    def state(self, now: float | None = None) -> State:
        now = time.time() if now is None else now
        if self.canceled_at is not None and now >= self.canceled_at:
            return State.CANCELED
        if self.ends_at is not None and now >= self.ends_at:
            return State.DONE
        return State.RUNNING if now >= self.starts_at else State.QUEUED

    def ended_at(self) -> float | None:
        """When it ends or has ended, one way or another."""
        return self.ends_at if self.canceled_at is None else self.canceled_at

    def is_open(self) -> bool:
        return self.state() in (State.QUEUED, State.RUNNING)

    def fault(self, name: str) -> Fault | None:
        return next((fault for fault in self.faults if fault.name == name), None)

    def queue_position(self, now: float) -> int:
        """Jobs ahead of this one: falls to 0 while it is queued."""
        wait_seconds = self.starts_at - self.created_at
        if wait_seconds <= 0:
            return 0
        left = max(0.0, self.starts_at - now) / wait_seconds
        return min(QUEUE_LENGTH - 1, int(left * QUEUE_LENGTH))


def duration_seconds(job_id: str, job_seconds: float) -> float:
    """The same for the same job: between 0.75 and 1.25 times `job_seconds`."""
    spread = int.from_bytes(hashlib.sha256(job_id.encode()).digest()[:4]) / 2**32
    return job_seconds * (0.75 + spread / 2)
