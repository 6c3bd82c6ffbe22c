"""Both sides in turn on one stack, and what their rounds say of each other."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from benchmarks.cpu import OURSELVES, cpu_seconds, per_sample
from benchmarks.dbos.side import API, WORKER
from benchmarks.load import Target, run_samples
from devstack.process.log import Log
from devstack.servers import object_store, postgres, simulators, temporal

# Of rounds whose results differ by more than this share of their median, no ratio is told.
MAX_SPREAD = 0.1
MIN_ROUNDS = 2
WARM_UP_SAMPLES, WARM_UP_AT_ONCE = 40, 10
# Work that goes on after the last end was seen belongs to the round.
SETTLE_SECONDS = 1.0
# By row: the name of the part on Darkroom's side and on DBOS's.
OWN_PARTS = {
    "worker": ("worker", WORKER),
    "API": ("api", API),
    "PostgreSQL": (postgres.NAME, postgres.NAME),
    "object store": (object_store.NAME, object_store.NAME),
}
FOREIGN_PARTS = {"simulator": simulators.NAME, "client": OURSELVES}
IDLE_PARTS = (("worker", "api", temporal.NAME), (WORKER, API))


@dataclass(frozen=True)
class Round:
    """One load on one side. cpu_ms: per generation, by part of the whole machine's stack."""

    per_second: float
    cpu_ms: Mapping[str, float]

    def of(self, parts: Sequence[str]) -> float:
        return sum(self.cpu_ms.get(part, 0.0) for part in parts)


@dataclass(frozen=True)
class Row:
    """One line: every round of both sides; empty where a side has no such part."""

    what: str
    darkroom: Sequence[float]
    dbos: Sequence[float]

    @property
    def ratio(self) -> float | None:
        """Return ours divided by DBOS's, unless one side's rounds differ too much to say."""
        if min(len(self.darkroom), len(self.dbos)) < MIN_ROUNDS or not median(self.dbos):
            return None
        if max(spread(self.darkroom), spread(self.dbos)) > MAX_SPREAD:
            return None
        return median(self.darkroom) / median(self.dbos)


@dataclass(frozen=True)
class Comparison:
    """The rounds of both sides, in the order in which they were run."""

    darkroom: Sequence[Round]
    dbos: Sequence[Round]

    @property
    def throughput(self) -> Row:
        return self._row("generations a second", lambda one: one.per_second, lambda one: one.per_second)

    @property
    def own_parts(self) -> Row:
        """Compare what it costs us without Temporal with what it costs DBOS in all."""
        ours, theirs = zip(*OWN_PARTS.values(), strict=True)
        return self._parts("own parts without Temporal / the whole on DBOS", ours, theirs)

    @property
    def whole(self) -> Row:
        ours, theirs = zip(*OWN_PARTS.values(), strict=True)
        return self._parts("the whole", (*ours, temporal.NAME), theirs)

    def rows(self) -> list[Row]:
        parts = [self._parts(what, (ours,), (theirs,)) for what, (ours, theirs) in OWN_PARTS.items()]
        with_temporal = [round_.of((temporal.NAME,)) for round_ in self.darkroom]
        foreign = [self._parts(what, (part,), (part,)) for what, part in FOREIGN_PARTS.items()]
        of_ours, of_theirs = IDLE_PARTS
        return [
            self.throughput,
            *parts,
            Row("Temporal", with_temporal, ()),
            self.own_parts,
            self.whole,
            *foreign,
            self._parts("the other side, idle", of_theirs, of_ours),
        ]

    def _parts(self, what: str, ours: Sequence[str], theirs: Sequence[str]) -> Row:
        return self._row(what, lambda one: one.of(ours), lambda one: one.of(theirs))

    def _row(self, what: str, ours: Callable[[Round], float], theirs: Callable[[Round], float]) -> Row:
        return Row(what, [ours(one) for one in self.darkroom], [theirs(one) for one in self.dbos])


def spread(values: Sequence[float]) -> float:
    """Return the difference between the largest and the smallest, as a share of the median."""
    middle = median(values)
    return (max(values) - min(values)) / middle if middle else 0.0


async def compare(
    sides: tuple[Target, Target],
    pids: Mapping[str, int],
    *,
    generations: int,
    at_once: int,
    rounds: int,
    log: Log,
) -> Comparison:
    """Warm both sides up, then run rounds in turn. sides: Darkroom's and DBOS's."""
    log("warming up …")
    for side in sides:
        await run_samples(side, min(WARM_UP_SAMPLES, generations), at_once=min(WARM_UP_AT_ONCE, at_once))
    found: tuple[list[Round], list[Round]] = ([], [])
    for number in range(1, rounds + 1):
        for name, side, known in zip(("Darkroom", "DBOS"), sides, found, strict=True):
            log(f"round {number} of {rounds}: {generations} generations on {name}, {at_once} at once …")
            known.append(await _round(side, pids, generations, at_once))
    return Comparison(*found)


async def _round(side: Target, pids: Mapping[str, int], generations: int, at_once: int) -> Round:
    before = cpu_seconds(pids)
    run = await run_samples(side, generations, at_once=at_once)
    await asyncio.sleep(SETTLE_SECONDS)
    return Round(run.per_second, per_sample(before, cpu_seconds(pids), generations))
