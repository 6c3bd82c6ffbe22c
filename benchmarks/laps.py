"""How load is put on a subject: one at a time for latencies, or so many at once for throughput."""

import asyncio
import time
from asyncio import TaskGroup
from dataclasses import dataclass
from typing import Protocol

from benchmarks.percentiles import Spread


@dataclass(frozen=True)
class Lap:
    """One workflow from its request to its end.

    workflow_id: as Temporal knows it.
    accept_seconds: until the request was answered with the id.
    reaction_seconds: from the provider's word to the end; None if it ended without one.
    """

    workflow_id: str
    accept_seconds: float
    reaction_seconds: float | None


class Subject(Protocol):
    """What is measured."""

    async def lap(self) -> Lap:
        """Run one to its end. Raises RunFailed for every other end than the good one."""
        ...


@dataclass(frozen=True)
class Run:
    """Laps, and how long they took together."""

    laps: list[Lap]
    seconds: float

    @property
    def per_second(self) -> float:
        return len(self.laps) / self.seconds

    @property
    def accept(self) -> Spread:
        return Spread.of([lap.accept_seconds for lap in self.laps])

    @property
    def reaction(self) -> Spread:
        return Spread.of([lap.reaction_seconds for lap in self.laps if lap.reaction_seconds is not None])


async def run_laps(subject: Subject, count: int, *, at_once: int = 1, pause_seconds: float = 0) -> Run:
    """`count` laps in `at_once` lanes; a lane pauses and begins its next lap when its last one has ended.

    Raises what the first failing lap raised.
    """
    numbers = iter(range(count))
    laps: list[Lap] = []

    async def lane() -> None:
        for _ in numbers:
            await asyncio.sleep(pause_seconds)
            laps.append(await subject.lap())

    begun = time.perf_counter()
    try:
        async with TaskGroup() as lanes:
            for _ in range(min(at_once, count)):
                lanes.create_task(lane())
    except ExceptionGroup as failures:
        raise failures.exceptions[0] from None
    return Run(laps, time.perf_counter() - begun)
