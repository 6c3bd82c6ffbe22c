"""Which generations a client lists, in which order, and where a list continues. Pure data."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

from domain.generation import Generation, Status

# What a list is sorted by: when it was created, how long it took, what it cost.
SortValue = datetime | timedelta | int


class SortKey(StrEnum):
    """A value of a generation that never changes once it is in a list that is sorted by it."""

    CREATED_AT = "created_at"
    DURATION = "duration"
    COST = "cost"


class ListOrder(StrEnum):
    """How a list is sorted. A minus is descending. Open generations have no duration and no cost."""

    NEWEST = "-created_at"
    OLDEST = "created_at"
    LONGEST = "-duration"
    SHORTEST = "duration"
    MOST_EXPENSIVE = "-cost"
    CHEAPEST = "cost"

    @property
    def key(self) -> SortKey:
        return SortKey(self.removeprefix("-"))

    @property
    def is_descending(self) -> bool:
        return self.startswith("-")


@dataclass(frozen=True)
class GenerationFilter:
    """What all generations of a list have in common.

    Attributes:
        provider: The one of the client's model, also if a fallback took over.
        metadata: Pairs that are in the metadata.
        created_after: The first moment.
        created_before: The moment after the last.
        q: Words of prompt and metadata, in any order; without any, all match.
    """

    status: Status | None = None
    model: str | None = None
    provider: str | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)
    created_after: datetime | None = None
    created_before: datetime | None = None
    q: str | None = None


@dataclass(frozen=True)
class ListPosition:
    """Where a list continues: after the generation with this value and id, which may be gone since."""

    value: SortValue
    id: str


@dataclass(frozen=True)
class GenerationSlice:
    """Some generations of a list. next: where it continues, None at its end.

    There may be fewer than were asked for, even none, before the end: what one call reads is bounded.
    """

    generations: Sequence[Generation]
    next: ListPosition | None


def sort_value(generation: Generation, key: SortKey) -> SortValue:
    """Return what a list sorts this generation by; duration and cost only of one that has ended."""
    if key is SortKey.CREATED_AT:
        return generation.created_at
    if key is SortKey.COST:
        return generation.charged_credits
    assert generation.finished_at is not None
    return generation.finished_at - generation.created_at
