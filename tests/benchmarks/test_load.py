"""Load: as many samples as requested, no more at once than allowed, and no failure counted as a result."""

import asyncio

import pytest

from benchmarks.errors import RunFailed
from benchmarks.load import Sample, run_samples


class Counting:
    """Counts how many samples run at once; the sample with number `fails_at` fails."""

    def __init__(self, fails_at: int | None = None) -> None:
        self.begun = self.running = self.most_at_once = 0
        self._fails_at = fails_at

    async def sample(self) -> Sample:
        self.begun += 1
        number = self.begun
        self.running += 1
        self.most_at_once = max(self.most_at_once, self.running)
        await asyncio.sleep(0)
        self.running -= 1
        if number == self._fails_at:
            raise RunFailed("a sample that was to fail")
        return Sample(f"sample-{number}", 0.1, None if number % 2 else 0.2)


@pytest.mark.parametrize(("count", "at_once", "most"), [(7, 3, 3), (2, 40, 2), (3, 1, 1)])
async def test_every_sample_is_run_and_the_lanes_are_full(count: int, at_once: int, most: int) -> None:
    target = Counting()
    run = await run_samples(target, count, at_once=at_once)

    assert (len(run.samples), target.most_at_once) == (count, most)


async def test_a_sample_that_fails_ends_the_run() -> None:
    target = Counting(fails_at=3)
    with pytest.raises(RunFailed, match="a sample that was to fail"):
        await run_samples(target, 100, at_once=2)

    assert target.begun < 10


async def test_reactions_are_only_of_samples_with_a_provider_signal() -> None:
    run = await run_samples(Counting(), 4)

    assert (run.accept.samples, run.reaction.samples) == (4, 2)
