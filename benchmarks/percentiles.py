"""Percentiles of a few samples."""

import math
from collections.abc import Sequence
from dataclasses import dataclass


def percentile(samples: Sequence[float], percent: float) -> float:
    """Return the percentile by nearest rank, which is a sample. Of 50, the 99th is the largest."""
    if not samples:
        raise ValueError("no samples")
    rank = max(1, math.ceil(len(samples) * percent / 100))
    return sorted(samples)[rank - 1]


@dataclass(frozen=True)
class Spread:
    """Median and 99th percentile, in seconds."""

    p50_seconds: float
    p99_seconds: float
    samples: int

    @classmethod
    def of(cls, seconds: Sequence[float]) -> "Spread":
        return cls(percentile(seconds, 50), percentile(seconds, 99), len(seconds))

    def as_json(self) -> dict[str, float]:
        return {
            "p50_ms": round(1000 * self.p50_seconds, 2),
            "p99_ms": round(1000 * self.p99_seconds, 2),
            "samples": self.samples,
        }
