"""How far an open job is: what polls have recorded, our own queue, and how long its stage usually takes."""

from collections.abc import Mapping
from dataclasses import dataclass

from api.services.durations import Durations
from domain.catalog import Catalog
from domain.durations import Phase
from domain.generation import Generation, Stage
from domain.ports import ProgressRecords, QueuePosition, TypicalDurations
from domain.progress import StageProgress, TypicalSeconds

_PHASES: Mapping[Stage, Phase] = {
    Stage.THROTTLED: Phase.QUEUE,
    # Measured from the start of the submit, within which a synchronous provider does all of its work.
    Stage.SUBMITTING: Phase.GENERATING,
    Stage.GENERATING: Phase.GENERATING,
    Stage.STORING: Phase.STORING,
}


@dataclass(frozen=True)
class JobProgress:
    """own_queue: where the job stands in our queue, while it waits there."""

    at_stage: StageProgress
    own_queue: QueuePosition | None = None
    typical: TypicalSeconds | None = None


class ProgressService:
    """Reads the progress of one job at a time. Whoever calls has checked whose it is."""

    def __init__(self, records: ProgressRecords, durations: TypicalDurations) -> None:
        self._records = records
        self._durations = durations

    async def read(self, generation: Generation, own_queue: QueuePosition | None) -> JobProgress | None:
        """Return the progress of a generation; None if it has ended.

        own_queue: where it stands in our queue, if it was there a moment ago.
        """
        at_stage = await self._records.read_progress(generation.id)
        if at_stage is None:
            return None
        typical = await self._durations.typical_seconds(generation.request.model, at_stage.stage)
        is_queued = at_stage.stage is Stage.THROTTLED
        return JobProgress(at_stage, own_queue if is_queued else None, typical)


class StageDurations:
    """What a model's history tells of a stage; of the work at the provider, else the catalog's estimate."""

    def __init__(self, durations: Durations, catalog: Catalog) -> None:
        self._durations = durations
        self._catalog = catalog

    async def typical_seconds(self, model: str, stage: Stage) -> TypicalSeconds | None:
        measured, phase = await self._durations.of_model(model), _PHASES.get(stage)
        if phase is not None and (seconds := measured.by_phase.get(phase)) is not None:
            return TypicalSeconds(seconds.p50, seconds.p95, measured.samples)
        found = self._catalog.models.get(model)
        if found is None or _PHASES.get(stage) is not Phase.GENERATING:
            return None
        return TypicalSeconds(found.typical_seconds)
