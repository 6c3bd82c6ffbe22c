"""Both sides in turn on one stack, and what their rounds say of each other."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from benchmarks.cpu import OURSELVES, cpu_seconds, per_sample
from benchmarks.dbos.side import API, BOTH, WORKER
from benchmarks.load import Target, run_samples
from devstack.process.log import Log
from devstack.servers import object_store, postgres, simulators, temporal

# Of rounds whose results differ by more than this share of their median, no ratio is told.
MAX_SPREAD = 0.1
MIN_ROUNDS = 2
WARM_UP_SAMPLES, WARM_UP_AT_ONCE = 40, 10
# Work that goes on after the last end was seen belongs to the round.
SETTLE_SECONDS = 1.0
OWN_PARTS = "own parts without Temporal / the whole on DBOS"
# By row: the names of the parts on Darkroom's side and on DBOS's.
OUR_PYTHON, DBOS_PYTHON = ("worker", "api"), (WORKER, API, BOTH)
SERVERS = (postgres.NAME, object_store.NAME)
PARTS: Mapping[str, tuple[Sequence[str], Sequence[str]]] = {
    "worker": (("worker",), (WORKER,)),
    "API": (("api",), (API,)),
    "worker and API": (OUR_PYTHON, DBOS_PYTHON),
    "PostgreSQL": ((postgres.NAME,), (postgres.NAME,)),
    "object store": ((object_store.NAME,), (object_store.NAME,)),
    "Temporal": ((temporal.NAME,), ()),
    OWN_PARTS: ((*OUR_PYTHON, *SERVERS), (*DBOS_PYTHON, *SERVERS)),
    "the whole": ((*OUR_PYTHON, *SERVERS, temporal.NAME), (*DBOS_PYTHON, *SERVERS)),
    # Somebody else's machines.
    "simulator": ((simulators.NAME,), (simulators.NAME,)),
    "client": ((OURSELVES,), (OURSELVES,)),
    "the other side, idle": (DBOS_PYTHON, (*OUR_PYTHON, temporal.NAME)),
}


@dataclass(frozen=True)
class Round:
    """One load on one side. cpu_ms: per generation, by part of the whole machine's stack."""

    per_second: float
    cpu_ms: Mapping[str, float]

    def of(self, parts: Sequence[str]) -> float:
        return sum(self.cpu_ms.get(part, 0.0) for part in parts)

    def has(self, parts: Sequence[str]) -> bool:
        return any(part in self.cpu_ms for part in parts)


@dataclass(frozen=True)
class Row:
    """One line: every round of both sides; empty where a side has no such part."""

    what: str
    darkroom: Sequence[float]
    dbos: Sequence[float]

    @property
    def ratio(self) -> float | None:
        """Return ours divided by DBOS's, unless one side's rounds are too few or differ too much to say."""
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
        rates = ([one.per_second for one in rounds] for rounds in (self.darkroom, self.dbos))
        return Row("generations a second", *rates)

    def rows(self) -> list[Row]:
        return [self.throughput, *(self.row(what) for what in PARTS)]

    def row(self, what: str) -> Row:
        ours, theirs = PARTS[what]
        return Row(
            what,
            [one.of(ours) for one in self.darkroom if one.has(ours)],
            [one.of(theirs) for one in self.dbos if one.has(theirs)],
        )


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
