"""What a user of the benchmarks may choose."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from benchmarks.rounds import Turns
from benchmarks.stacks import DEV
from devstack.process.stop_flag import StopFlag


@dataclass(frozen=True)
class Options:
    """The sizes of all benchmarks.

    Attributes:
        temporal: Which server.
        turns: How often each contender runs.
        generations: In each run under load; of baseline workflows twice as many.
        at_once: How many are open at a time under load.
        idle_samples: In each run of one after the other.
        scale: Of every other size: waiting generations, a burst, rows of history. Below 1 for a quick try.
        levels: How many are open at a time, on the curve.
        stop: Set when the user interrupts.
    """

    stop: StopFlag
    temporal: str = DEV
    turns: Turns = field(default_factory=Turns)
    generations: int = 150
    at_once: int = 40
    idle_samples: int = 20
    scale: float = 1.0
    levels: Sequence[int] = (1, 8, 40, 120, 400)

    def scaled(self, size: int) -> int:
        return max(1, round(size * self.scale))
