"""A job is a row with times: its state follows from the clock, so a restart loses nothing."""

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

    arguments: the request in the provider's wire format.
    faults: those that change the job itself; the others are looked up when they may apply.
    base_url: by which the client that submitted it reached the server.
    ends_at: None if it hangs. canceled_at: may be in the future, for a job that will miss its deadline.
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
        """Return when the job ends or has ended, in whatever way."""
        return self.ends_at if self.canceled_at is None else self.canceled_at

    def is_open(self) -> bool:
        return self.state() in (State.QUEUED, State.RUNNING)

    def fault(self, name: str) -> Fault | None:
        return next((fault for fault in self.faults if fault.name == name), None)

    def queue_position(self, now: float) -> int:
        """Return the number of jobs ahead, which falls to 0 while it is queued."""
        wait_seconds = self.starts_at - self.created_at
        if wait_seconds <= 0:
            return 0
        left = max(0.0, self.starts_at - now) / wait_seconds
        return min(QUEUE_LENGTH - 1, int(left * QUEUE_LENGTH))


def duration_seconds(job_id: str, job_seconds: float) -> float:
    """Return a duration of 0.75 to 1.25 times `job_seconds`, constant for each job."""
    spread = int.from_bytes(hashlib.sha256(job_id.encode()).digest()[:4]) / 2**32
    return job_seconds * (0.75 + spread / 2)
