"""From what is known of an open job's progress to what its client sees."""

from dataclasses import asdict

from api.http.schemas.progress import ProgressView, QueueKind, TypicalSecondsView
from api.services.progress import JobProgress
from domain.generation import Stage
from domain.progress import ProviderProgress

# At any other stage, what the provider said last is no longer so.
_AT_PROVIDER = (Stage.GENERATING, Stage.SUBMIT_UNKNOWN)
_NOTHING = ProviderProgress()


def serialize_progress(progress: JobProgress) -> ProgressView:
    """Tell our own queue from the provider's, and show nothing that nobody has stated."""
    at_stage, is_at_provider = progress.at_stage, progress.at_stage.stage in _AT_PROVIDER
    said = (at_stage.provider if is_at_provider else None) or _NOTHING
    queue, position = _queue(progress, said)
    return ProgressView(
        stage=at_stage.stage,
        queue=queue,
        position=position,
        percent=said.percent,
        logs=list(said.logs),
        updated_at=at_stage.said_at if is_at_provider else None,
        typical_seconds=TypicalSecondsView(**asdict(progress.typical)) if progress.typical else None,
        elapsed_seconds=round(at_stage.elapsed_seconds, 3),
    )


def _queue(progress: JobProgress, said: ProviderProgress) -> tuple[QueueKind | None, int | None]:
    if progress.at_stage.stage is Stage.THROTTLED:
        return QueueKind.OWN, progress.own_queue.ahead if progress.own_queue else None
    if said.is_queued:
        return QueueKind.PROVIDER, said.queue_position
    return None, None
