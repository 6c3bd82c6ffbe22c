"""Percentiles of a handful of samples."""

import math
from collections.abc import Sequence
from dataclasses import dataclass


def percentile(samples: Sequence[float], percent: float) -> float:
    """By nearest rank: one of the samples. Of 50 samples the 99th percentile is the largest."""
    if not samples:
        raise ValueError("no samples")
    rank = max(1, math.ceil(len(samples) * percent / 100))
    return sorted(samples)[rank - 1]


@dataclass(frozen=True)
class Spread:
    """A usual and a bad case, in seconds."""

    p50_seconds: float
    p99_seconds: float
    samples: int

    @classmethod
    def of(cls, seconds: Sequence[float]) -> "Spread":
        return cls(percentile(seconds, 50), percentile(seconds, 99), len(seconds))
