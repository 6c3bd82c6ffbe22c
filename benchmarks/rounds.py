"""The one way in which measurements are compared: in turn, several times, on the same machine.

A machine that is shared is faster at one moment than at another. So contenders run in turn, and a ratio is
given only where the runs of both agree within `MAX_SPREAD`.
"""

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import median

# By name of a row, such as "per second" or "worker ms".
Reading = Mapping[str, float]
Round = Mapping[str, Reading]

MAX_SPREAD = 0.10


@dataclass(frozen=True)
class Turns:
    """How many rounds are run. spare: so many more at most, where those so far are apart."""

    rounds: int = 3
    spare: int = 2

    def at_most(self, rounds: int) -> "Turns":
        return replace(self, rounds=min(rounds, self.rounds))


@dataclass(frozen=True)
class Range:
    """The least, the median and the most of so many runs."""

    least: float
    median: float
    most: float
    runs: int = 1

    @classmethod
    def of(cls, values: Sequence[float]) -> "Range":
        return cls(min(values), median(values), max(values), len(values))

    @property
    def spread(self) -> float:
        """Return how far the runs are apart, in parts of their median."""
        return (self.most - self.least) / self.median if self.median else 0.0

    @property
    def is_steady(self) -> bool:
        return self.runs > 1 and self.spread <= MAX_SPREAD


@dataclass(frozen=True)
class Ratio:
    """A quotient of two medians; without a value if the runs of either are too far apart, or a single one.

    spread: of the side whose runs are further apart.
    """

    value: float | None
    spread: float

    @classmethod
    def of(cls, ours: Range, theirs: Range) -> "Ratio":
        spread = max(ours.spread, theirs.spread)
        is_known = ours.is_steady and theirs.is_steady and theirs.median > 0
        return cls(ours.median / theirs.median if is_known else None, spread)

    def __str__(self) -> str:
        if self.value is not None:
            return f"{self.value:.2f}"
        return f"spread {self.spread:.0%}: no ratio" if self.spread else "one run: no ratio"


@dataclass(frozen=True)
class Comparison:
    """What contenders read in the same rounds. dropped: rounds that were run besides."""

    rounds: Sequence[Round]
    dropped: int = 0

    def range(self, contender: str, row: str) -> Range:
        return Range.of([each[contender][row] for each in self.rounds])

    def ratio(self, ours: str, theirs: str, row: str) -> Ratio:
        return Ratio.of(self.range(ours, row), self.range(theirs, row))

    def rows(self, contender: str) -> list[str]:
        return list(self.rounds[0][contender])

    def as_json(self) -> dict[str, dict[str, list[float]]]:
        """Return every run, by contender and row."""
        return {
            contender: {
                row: [round(each[contender][row], 4) for each in self.rounds] for row in self.rows(contender)
            }
            for contender in self.rounds[0]
        }


async def in_turn(
    contenders: Mapping[str, Callable[[], Awaitable[Reading]]],
    turns: Turns,
    *,
    steady: Collection[str] = (),
) -> Comparison:
    """Run all contenders once a round, every other round the other way around.

    steady: rows whose runs are to agree. While they do not, spare rounds are run, and the consecutive ones
    that agree best are kept: a disturbance costs whole rounds, never one side of them.
    """
    done: list[Round] = []
    while True:
        names = list(contenders) if len(done) % 2 == 0 else list(contenders)[::-1]
        done.append({name: await contenders[name]() for name in names})
        if len(done) < turns.rounds:
            continue
        best = min(_windows(done, turns.rounds), key=lambda window: _worst_spread(window, steady))
        if _worst_spread(best, steady) <= MAX_SPREAD or len(done) == turns.rounds + turns.spare:
            return Comparison(best, len(done) - turns.rounds)


def _windows(rounds: Sequence[Round], size: int) -> list[Sequence[Round]]:
    return [rounds[start : start + size] for start in range(len(rounds) - size + 1)]


def _worst_spread(rounds: Sequence[Round], rows: Collection[str]) -> float:
    comparison = Comparison(rounds)
    return max((comparison.range(name, row).spread for name in rounds[0] for row in rows), default=0.0)
