"""The steps of a job that runs, as its model logs them: a line of tqdm's for each."""

import time
from dataclasses import dataclass

from simulator.core.jobs import Job, State

STEPS = 20
_BAR_CHARACTERS = 10


@dataclass(frozen=True)
class LogLine:
    """at: unix seconds."""

    text: str
    at: float


def log_lines(job: Job) -> list[LogLine]:
    """Return what the model has logged so far. Like real ones it repeats the prompt."""
    if job.state() is State.QUEUED or not _has_started(job):
        return []
    return [
        LogLine(f"Prompt: {job.prompt}", job.starts_at),
        *_padding(job),
        *(LogLine(_bar(step), _moment(job, step)) for step in range(steps_done(job) + 1)),
    ]


def steps_done(job: Job) -> int:
    """Return how many steps are done, of a job that has started; one that hangs stays at the half."""
    if job.ends_at is None:
        return STEPS // 2
    until = min(time.time(), job.ends_at if job.canceled_at is None else job.canceled_at)
    seconds = job.ends_at - job.starts_at
    share = (until - job.starts_at) / seconds if seconds > 0 else 1.0
    return max(0, min(STEPS, int(share * STEPS)))


def _has_started(job: Job) -> bool:
    """Return whether it was not canceled before its start."""
    return job.canceled_at is None or job.canceled_at > job.starts_at


def _moment(job: Job, step: int) -> float:
    if job.ends_at is None:
        return job.starts_at
    return job.starts_at + (job.ends_at - job.starts_at) * step / STEPS


def _bar(step: int) -> str:
    filled = "█" * (step * _BAR_CHARACTERS // STEPS)
    return f"{step * 100 // STEPS:3d}%|{filled:<{_BAR_CHARACTERS}}| {step}/{STEPS} [00:00<00:00,  9.87it/s]"


def _padding(job: Job) -> list[LogLine]:
    """Return a line as long as a fault says, with what a terminal would take for commands."""
    fault = job.fault("long_log")
    if fault is None:
        return []
    return [LogLine("\x1b[31m\x00" + "x" * int(fault.number("kilobytes") * 1000), job.starts_at)]
