"""Places at providers in memory. Its turns are simpler than PostgreSQL's: first come, first served."""

from collections.abc import Sequence

from domain.generation import Stage
from domain.ports import QueuePosition, SlotDecision
from domain.provider import AttemptRef
from tests.support.memory_books import MemoryBooks
from tests.support.requests import NOW

_LEFT = (Stage.STORING, Stage.SETTLING)


class MemoryGate:
    """The ProviderSlots port. A provider that is not in `places` has no door."""

    def __init__(self, books: MemoryBooks) -> None:
        self.places: dict[str, int] = {}
        self.pauses: list[tuple[str, float]] = []
        self._books = books
        self._line: list[AttemptRef] = []
        self._granted: set[AttemptRef] = set()
        self._told: set[AttemptRef] = set()

    @property
    def waiting(self) -> list[AttemptRef]:
        return [each for each in self._line if each not in self._granted]

    async def ask(self, attempt: AttemptRef) -> SlotDecision:
        row = self._books.row(attempt.generation_id)
        provider = row.asked_of(attempt.ordinal).provider
        if row.status.is_terminal:
            return SlotDecision(granted=True)
        earlier = [each for each in self._line if each.generation_id == row.id and each != attempt]
        for each in earlier:
            self._line.remove(each)
            self._granted.discard(each)
            self._told.discard(each)
        left = row.asked_of(earlier[0].ordinal).provider if earlier else None
        if provider not in self.places:
            return SlotDecision(granted=True, released_provider=left)
        if attempt not in self._line:
            self._line.append(attempt)
        granted = [] if attempt in self._granted else self._grant(provider)
        if attempt in self._granted:
            self._told.add(attempt)
        return SlotDecision(
            attempt in self._granted, tuple(each for each in granted if each != attempt), left
        )

    async def hand_out(self, provider: str) -> Sequence[AttemptRef]:
        self._grant(provider)
        return [each for each in self._of(provider) if each in self._granted - self._told]

    async def told(self, attempt: AttemptRef) -> None:
        self._told.add(attempt)

    async def slow_down(self, provider: str, seconds: float) -> None:
        self.pauses.append((provider, seconds))

    async def closed_seconds(self, provider: str) -> float:
        return 0.0

    async def standing(self, generation_id: str) -> QueuePosition | None:
        mine = next((each for each in self.waiting if each.generation_id == generation_id), None)
        if mine is None:
            return None
        provider = self._books.row(generation_id).asked_of(mine.ordinal).provider
        waiting = [each for each in self._of(provider) if each not in self._granted]
        return QueuePosition(NOW, waiting.index(mine)) if mine in waiting else None

    def _of(self, provider: str) -> list[AttemptRef]:
        """Those in the provider's line whose work there is not over."""
        rows = ((each, self._books.row(each.generation_id)) for each in self._line)
        return [
            each
            for each, row in rows
            if row.asked_of(each.ordinal).provider == provider
            and not row.status.is_terminal
            and row.stage not in _LEFT
        ]

    def _grant(self, provider: str) -> list[AttemptRef]:
        """Those that have a place now and had none before."""
        line = self._of(provider)
        free = self.places.get(provider, 0) - sum(each in self._granted for each in line)
        waiting = [each for each in line if each not in self._granted]
        granted = waiting[: max(0, free)]
        self._granted.update(granted)
        return granted
