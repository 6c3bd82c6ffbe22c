"""The stored images of a generation."""

from collections.abc import Sequence

from sqlalchemy import bindparam, delete, func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from adapters.database.engine import Database
from adapters.database.tables import AttemptRow, GenerationRow, ImageRow, InboxRow, UnstoredImageRow
from adapters.database.tables.mapping import (
    StoredResult,
    images_of,
    is_terminal,
    locked_generation,
    outcome_of,
    set_stage,
    stored_files,
    stored_images,
    stored_undelivered,
    to_generation,
    to_request,
    undelivered_to_json,
)
from domain.errors import ResultUnusable
from domain.generation import Generation, Image, Stage, Undelivered
from domain.ports import ResultToStore, StoringStart
from domain.provider import AttemptRef, JobStatus

_UNSTORED = (
    select(col(UnstoredImageRow.index))
    .where(col(UnstoredImageRow.generation_id) == bindparam("id"))
    .order_by(col(UnstoredImageRow.index))
)
_DELETE_UNSTORED = delete(UnstoredImageRow).where(col(UnstoredImageRow.generation_id) == bindparam("id"))
_STORING_SECONDS = select(
    func.extract("epoch", func.clock_timestamp() - col(GenerationRow.storing_at))
).where(col(GenerationRow.id) == bindparam("id"))


class PostgresAssets:
    """Storing begins only if no cancel came first; from then on a cancel is too late."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def begin_storing(self, attempt: AttemptRef, inbox_id: int | None) -> StoringStart:
        async with self._database.begin() as session:
            row = await locked_generation(session, attempt.generation_id)
            if is_terminal(row):
                return StoringStart(outcome=await outcome_of(session, row))
            if row.stage not in (Stage.STORING, Stage.SETTLING):
                if row.cancel_requested_at is not None:
                    return StoringStart()
                set_stage(row, Stage.STORING)
            result = await _stored_result(session, attempt, inbox_id)
            unstored = await session.scalars(_UNSTORED, {"id": row.id})
            age_seconds = await session.scalar(_STORING_SECONDS, {"id": row.id})
            return StoringStart(
                ResultToStore(
                    generation=to_generation(row),
                    provider=to_request(row, attempt.ordinal).provider,
                    files=stored_files(result),
                    delivered=stored_images(result),
                    undelivered=stored_undelivered(result),
                    recorded=(await images_of(session, [row.id])).get(row.id, ()),
                    unstored=tuple(unstored),
                    age_seconds=float(age_seconds or 0),
                )
            )

    async def expect_objects(self, generation_id: str) -> Generation | None:
        async with self._database.begin() as session:
            row = await locked_generation(session, generation_id)
            if is_terminal(row):
                return None
            if row.storing_at is None:
                # By this the reconciler finds orphaned objects if the generation fails.
                row.storing_at = await session.scalar(select(func.now()))
            return to_generation(row)

    async def save_unstored(self, generation_id: str, index: int, content: bytes) -> None:
        values = {"generation_id": generation_id, "index": index, "content": content}
        async with self._database.begin() as session:
            # Nobody would store or delete the bytes of one that has ended.
            if not is_terminal(await locked_generation(session, generation_id)):
                await session.execute(insert(UnstoredImageRow).values(values).on_conflict_do_nothing())

    async def load_unstored(self, generation_id: str, index: int) -> bytes:
        async with self._database.begin() as session:
            row = await session.get(UnstoredImageRow, (generation_id, index))
        if row is None:
            raise ResultUnusable("the bytes of the image are gone")
        return row.content

    async def finish_storing(
        self, generation_id: str, images: Sequence[Image], undelivered: Sequence[Undelivered] = ()
    ) -> bool:
        async with self._database.begin() as session:
            row = await locked_generation(session, generation_id)
            await session.execute(_DELETE_UNSTORED, {"id": row.id})
            # On a re-run, or when an activity outlived its workflow, the first record of the images stays.
            if await images_of(session, [row.id]):
                return row.images_erased_at is None
            if is_terminal(row):
                return False
            session.add_all(
                ImageRow(
                    generation_id=row.id,
                    index=image.index,
                    key=image.key,
                    width=image.width,
                    height=image.height,
                    content_type=image.content_type,
                    size_bytes=image.size_bytes,
                    sha256=image.sha256,
                    source_sha256=image.source_sha256,
                )
                for image in images
            )
            row.undelivered = undelivered_to_json(undelivered)
            set_stage(row, Stage.SETTLING)
            return True


async def _stored_result(session: AsyncSession, attempt: AttemptRef, inbox_id: int | None) -> StoredResult:
    """Return the newest report on the files: the attempt's own if it succeeded, else a webhook's."""
    record = await session.get(AttemptRow, (attempt.generation_id, attempt.ordinal))
    if record is not None and record.result is not None and record.result["status"] == JobStatus.SUCCEEDED:
        return record.result
    query = select(InboxRow).where(
        col(InboxRow.generation_id) == attempt.generation_id,
        col(InboxRow.ordinal) == attempt.ordinal,
        col(InboxRow.status) == JobStatus.SUCCEEDED,
    )
    if inbox_id is not None:
        query = query.where(col(InboxRow.id) == inbox_id)
    event = await session.scalar(query.order_by(col(InboxRow.id)).limit(1))
    return event.result if event is not None else None
