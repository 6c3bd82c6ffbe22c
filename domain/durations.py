"""How long jobs of a model take: what was measured of those that completed last. Pure data."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

# Of fewer jobs no percentile is told: it would say little, and too much of single ones.
MIN_SAMPLES = 20


class Phase(StrEnum):
    """A part of a job that completes, and all of it.

    QUEUE: From the hold of credits until the submit that a provider took. GENERATING: until its result.
    STORING: until the images are stored and paid for. TOTAL: from `created_at` to `finished_at`.
    """

    QUEUE = "queue"
    GENERATING = "generating"
    STORING = "storing"
    TOTAL = "total"


@dataclass(frozen=True)
class Percentiles:
    """Seconds that half of the jobs, and 95 in 100 of them, did not exceed."""

    p50: float
    p95: float


@dataclass(frozen=True)
class ModelDurations:
    """What was measured of a model. by_phase: empty below MIN_SAMPLES."""

    samples: int = 0
    by_phase: Mapping[Phase, Percentiles] = field(default_factory=dict)
