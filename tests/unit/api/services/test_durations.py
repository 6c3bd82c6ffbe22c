"""How long jobs take is read once a minute for all who ask."""

import asyncio
from dataclasses import dataclass, field

from api.services.durations import Durations
from domain.durations import ModelDurations
from tests.support.small_models import small_catalog


@dataclass
class History:
    """The port, as it is set by a test; counts how often it is asked, and by how many at once."""

    samples: int = 1
    asked: list[str] = field(default_factory=list)
    at_once: int = 0
    most_at_once: int = 0
    open: asyncio.Event = field(default_factory=asyncio.Event)

    async def measure_durations(self, model: str) -> ModelDurations:
        self.asked.append(model)
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        await self.open.wait()
        self.at_once -= 1
        return ModelDurations(self.samples)


@dataclass
class Subject:
    """Durations with their clock."""

    history: History = field(default_factory=History)
    now: float = 0.0

    def __post_init__(self) -> None:
        self.history.open.set()
        self.durations = Durations(self.history, small_catalog(), lambda: self.now)

    async def samples(self, model: str = "maker") -> int:
        return (await self.durations.of_model(model)).samples


async def test_a_minute_costs_one_query() -> None:
    subject = Subject()
    assert [await subject.samples() for _ in range(5)] == [1] * 5
    subject.now, subject.history.samples = 59.0, 2
    assert await subject.samples() == 1
    subject.now = 60.0
    assert await subject.samples() == 2
    assert subject.history.asked == ["maker"] * 2


async def test_a_crowd_costs_one_query_at_a_time() -> None:
    subject = Subject()
    subject.history.open.clear()
    crowd = [asyncio.create_task(subject.samples(model)) for model in ("maker", "stand-in") * 20]
    await asyncio.sleep(0)
    subject.history.open.set()
    assert await asyncio.gather(*crowd) == [1] * 40
    assert sorted(subject.history.asked) == ["maker", "stand-in"]
    assert subject.history.most_at_once == 1


async def test_nobody_waits_for_what_was_known_before() -> None:
    subject = Subject()
    await subject.samples()
    subject.now, subject.history.samples = 60.0, 2
    subject.history.open.clear()
    reading = asyncio.create_task(subject.samples())
    await asyncio.sleep(0)
    assert await subject.samples() == 1
    subject.history.open.set()
    assert await reading == 2


async def test_a_model_that_is_not_in_the_catalog_is_not_looked_for() -> None:
    subject = Subject()
    assert await subject.samples("gone") == 0
    assert subject.history.asked == []
