"""What a client sees of an open job's progress: nothing that nobody has stated."""

from dataclasses import dataclass, replace
from datetime import timedelta

import pytest

from api.http.entity_tags import entity_tag
from api.http.progress_view import serialize_progress
from api.http.serializers import GenerationSerializer
from api.services.durations import Durations
from api.services.progress import JobProgress, ProgressService, StageDurations
from domain.catalog import Catalog
from domain.durations import ModelDurations, Percentiles, Phase
from domain.generation import Generation, Stage, Status
from domain.keyring import Keyring
from domain.ports import QueuePosition
from domain.progress import ProviderProgress, StageProgress, TypicalSeconds
from tests.support.requests import NOW, request
from tests.support.small_models import small_catalog

QUEUED = ProviderProgress(is_queued=True, queue_position=2, logs=("Loading",))
HALF = ProviderProgress(percent=50.5, logs=("Loading", " 50%|█  | 1/2"))
KEYRING = Keyring.of("a master key")
SECOND = QueuePosition(NOW, 1, is_exact=True)
OPEN = Generation(
    id="gen_1",
    tenant_id="ten_1",
    request=replace(request(), model="painter"),
    status=Status.PROCESSING,
    stage=Stage.GENERATING,
    error=None,
    cancel_requested=False,
    needs_attention=None,
    held_credits=0,
    charged_credits=0,
    refunded_credits=0,
    created_at=NOW,
    queued_at=None,
    processing_at=None,
    finished_at=None,
)


def shown(stage: Stage, said: ProviderProgress | None = None, own: QueuePosition | None = None) -> object:
    at_stage = StageProgress(stage, 1.23456, said, NOW if said else None)
    view = serialize_progress(JobProgress(at_stage, own)).model_dump(mode="json")
    return {name: view[name] for name in ("queue", "position", "percent", "logs", "updated_at")}


def told(**said: object) -> object:
    nothing: dict[str, object] = {
        "queue": None,
        "position": None,
        "percent": None,
        "logs": [],
        "updated_at": None,
    }
    return nothing | said


AT = NOW.isoformat().replace("+00:00", "Z")


@pytest.mark.parametrize("stage", [Stage.GENERATING, Stage.SUBMIT_UNKNOWN])
def test_the_providers_queue_is_told_from_ours(stage: Stage) -> None:
    assert shown(stage, QUEUED) == told(queue="provider", position=2, logs=["Loading"], updated_at=AT)
    assert shown(stage, QUEUED, SECOND) == shown(stage, QUEUED)
    unplaced = ProviderProgress(is_queued=True)
    assert shown(stage, unplaced) == told(queue="provider", updated_at=AT)


def test_our_own_queue_has_our_own_position() -> None:
    assert shown(Stage.THROTTLED, None, SECOND) == told(queue="own", position=1)
    assert shown(Stage.THROTTLED) == told(queue="own")


def test_at_work_there_is_no_queue() -> None:
    half = told(percent=50.5, logs=["Loading", " 50%|█  | 1/2"], updated_at=AT)
    assert shown(Stage.GENERATING, HALF) == half


def test_a_percentage_that_nobody_stated_is_null() -> None:
    assert shown(Stage.GENERATING) == told()
    assert shown(Stage.GENERATING, ProviderProgress()) == told(updated_at=AT)


@pytest.mark.parametrize("stage", [Stage.CREATED, Stage.RESERVING, Stage.SUBMITTING, Stage.STORING])
def test_what_the_provider_said_of_another_stage_is_not_shown(stage: Stage) -> None:
    assert shown(stage, HALF) == told()
    # Such as a second attempt that waits, where the first was polled.
    assert shown(Stage.THROTTLED, QUEUED, SECOND) == told(queue="own", position=1)


def test_the_stage_has_its_time_and_its_usual_time() -> None:
    at_stage = StageProgress(Stage.STORING, 1.23456)
    view = serialize_progress(JobProgress(at_stage, typical=TypicalSeconds(1.5, 4.0, 120)))

    assert (view.stage, view.elapsed_seconds) == (Stage.STORING, 1.235)
    assert view.model_dump()["typical_seconds"] == {"p50": 1.5, "p95": 4.0, "samples": 120}


class Records:
    """The ProgressRecords port with one answer."""

    def __init__(self, answer: StageProgress | None) -> None:
        self.answer = answer

    async def read_progress(self, generation_id: str) -> StageProgress | None:
        return self.answer


@dataclass(frozen=True)
class History:
    """The DurationHistory port with one answer."""

    answer: ModelDurations

    async def measure_durations(self, model: str) -> ModelDurations:
        return self.answer


def durations_of(catalog: Catalog, answer: ModelDurations | None = None) -> StageDurations:
    return StageDurations(Durations(History(answer or ModelDurations()), catalog), catalog)


async def test_what_was_measured_comes_before_the_catalog() -> None:
    measured = ModelDurations(
        30, {Phase.GENERATING: Percentiles(2.5, 9.0), Phase.QUEUE: Percentiles(0.5, 4.0)}
    )
    durations = durations_of(small_catalog(), measured)

    for stage in (Stage.SUBMITTING, Stage.GENERATING):
        assert await durations.typical_seconds("painter", stage) == TypicalSeconds(2.5, 9.0, 30)
    assert await durations.typical_seconds("painter", Stage.THROTTLED) == TypicalSeconds(0.5, 4.0, 30)
    assert await durations.typical_seconds("painter", Stage.STORING) is None
    assert await durations.typical_seconds("painter", Stage.CREATED) is None


async def test_the_stage_decides_that_was_read_last() -> None:
    durations = durations_of(small_catalog())
    moved_on = ProgressService(Records(StageProgress(Stage.GENERATING, 0.5)), durations)
    waiting = ProgressService(Records(StageProgress(Stage.THROTTLED, 0.5)), durations)
    ended = ProgressService(Records(None), durations)

    assert await ended.read(OPEN, SECOND) is None
    assert await waiting.read(OPEN, SECOND) == JobProgress(StageProgress(Stage.THROTTLED, 0.5), SECOND)
    found = await moved_on.read(OPEN, SECOND)
    assert found is not None
    assert found.own_queue is None


async def test_the_catalog_estimates_the_providers_work_only() -> None:
    catalog = small_catalog()
    durations, seconds = durations_of(catalog), catalog.models["painter"].typical_seconds

    assert await durations.typical_seconds("painter", Stage.GENERATING) == TypicalSeconds(seconds)
    assert await durations.typical_seconds("painter", Stage.THROTTLED) is None
    assert await durations.typical_seconds("of another version", Stage.GENERATING) is None


def test_time_that_passes_is_no_news_and_progress_is() -> None:
    serializer = GenerationSerializer("https://example.com", KEYRING, timedelta(days=1), None)

    def tag(seconds: float, said: ProviderProgress) -> str:
        view = serializer.serialize(OPEN)
        at_stage = StageProgress(Stage.GENERATING, seconds, said, NOW + timedelta(seconds=seconds))
        view.progress = serialize_progress(JobProgress(at_stage, typical=TypicalSeconds(seconds)))
        return entity_tag(view)

    assert tag(1, HALF) == tag(2, HALF)
    assert len({tag(1, HALF), tag(1, QUEUED), tag(1, replace(HALF, percent=51))}) == 3
    assert tag(1, HALF) != tag(1, replace(HALF, logs=()))
