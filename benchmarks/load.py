"""Puts load on a target: one at a time for latencies, or several at once for throughput."""

import asyncio
import random
import time
from asyncio import TaskGroup
from dataclasses import dataclass
from typing import Protocol

from benchmarks.percentiles import Spread


@dataclass(frozen=True)
class Sample:
    """One workflow from its request to its end.

    workflow_id: in Temporal.
    accept_seconds: until the response with the id.
    reaction_seconds: from the provider's signal to the end; None if it ended without one.
    """

    workflow_id: str
    accept_seconds: float
    reaction_seconds: float | None


class Target(Protocol):
    """What is measured."""

    async def sample(self) -> Sample:
        """Run one to its end. Raises RunFailed unless it succeeds."""
        ...


@dataclass(frozen=True)
class Run:
    """Samples, and how long they took together."""

    samples: list[Sample]
    seconds: float

    @property
    def per_second(self) -> float:
        return len(self.samples) / self.seconds

    @property
    def accept(self) -> Spread:
        return Spread.of([sample.accept_seconds for sample in self.samples])

    @property
    def reaction(self) -> Spread:
        return Spread.of(
            [sample.reaction_seconds for sample in self.samples if sample.reaction_seconds is not None]
        )


async def run_samples(target: Target, count: int, *, at_once: int = 1, pause_seconds: float = 0) -> Run:
    """Take `count` samples, `at_once` at a time; each lane pauses between samples.

    Raises the error of the first failing sample.
    """
    numbers = iter(range(count))
    samples: list[Sample] = []

    async def lane() -> None:
        for _ in numbers:
            await asyncio.sleep(pause_seconds)
            samples.append(await target.sample())

    begun = time.perf_counter()
    try:
        async with TaskGroup() as lanes:
            for _ in range(min(at_once, count)):
                lanes.create_task(lane())
    except ExceptionGroup as failures:
        raise failures.exceptions[0] from None
    return Run(samples, time.perf_counter() - begun)


async def run_arrivals(target: Target, per_second: float, seconds: float, *, seed: int) -> Run:
    """Take samples that arrive at random times, however many are open: what users do.

    seed: of the times, so that all contenders of a round see the same pattern. Raises the error of the first
    failing sample.
    """
    pauses = random.Random(seed)  # noqa: S311 - not a secret
    samples: list[Sample] = []

    async def one() -> None:
        samples.append(await target.sample())

    begun = time.perf_counter()
    due = begun
    try:
        async with TaskGroup() as open_samples:
            while (due := due + pauses.expovariate(per_second)) < begun + seconds or not samples:
                await asyncio.sleep(max(0.0, due - time.perf_counter()))
                open_samples.create_task(one())
    except ExceptionGroup as failures:
        raise failures.exceptions[0] from None
    return Run(samples, time.perf_counter() - begun)
