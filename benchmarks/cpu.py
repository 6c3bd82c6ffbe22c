"""Processor time by part of the stack, measured without a profiler."""

import os
from collections.abc import Mapping

import psutil

OURSELVES = "benchmark"


def cpu_seconds(pids: Mapping[str, int]) -> dict[str, float]:
    """Return the seconds so far, by name: of each part with its children, and of this process without."""
    return {name: _with_children(pid) for name, pid in pids.items()} | {OURSELVES: _alone(os.getpid())}


def per_sample(before: Mapping[str, float], after: Mapping[str, float], samples: int) -> dict[str, float]:
    """Return milliseconds per sample, the most expensive part first."""
    spent = {name: 1000 * (after[name] - before[name]) / samples for name in after if name in before}
    return dict(sorted(spent.items(), key=lambda item: -item[1]))


def _alone(pid: int) -> float:
    times = psutil.Process(pid).cpu_times()
    return float(times.user + times.system)


def _with_children(pid: int) -> float:
    process = psutil.Process(pid)
    times = process.cpu_times()
    # The second pair is of children that have ended and been waited for.
    seconds = float(times.user + times.system + times.children_user + times.children_system)
    for child in process.children(recursive=True):
        try:
            seconds += _alone(child.pid)
        except psutil.NoSuchProcess:
            continue
    return seconds
