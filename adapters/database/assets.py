"""The stored images of a generation."""

from sqlalchemy import ARRAY, BigInteger, Boolean, Double, Text, func, select
from sqlalchemy.dialects.postgresql import JSONB, insert

from adapters.database.engine import Database
from adapters.database.tables import UnstoredImageRow
from adapters.database.tables.mapping import (
    OUTCOME,
    images_from_json,
    is_terminal,
    locked_generation,
    stored_files,
    stored_images,
    stored_undelivered,
    to_generation,
    to_outcome,
    to_request,
    with_generation,
)
from domain.errors import GenerationNotFound, ResultUnusable
from domain.generation import Generation
from domain.ports import ResultToStore, StoringStart
from domain.provider import AttemptRef

_BEGIN = with_generation(
    "begin_storing(:generation, :ordinal, :inbox)",
    "(generation)",
    state=Text,
    result=JSONB,
    recorded=JSONB,
    unstored=ARRAY(BigInteger),
    age_seconds=Double,
    is_grant_due=Boolean,
)


class PostgresAssets:
    """Storing begins only if no cancel came first; from then on a cancel is too late."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def begin_storing(self, attempt: AttemptRef, inbox_id: int | None) -> StoringStart:
        generation_id = attempt.generation_id
        values = {"generation": generation_id, "ordinal": attempt.ordinal, "inbox": inbox_id}
        rows = await self._database.call(_BEGIN, values)
        if not rows:
            raise GenerationNotFound
        [row] = rows
        if row.state == "already_terminal":
            [ended] = await self._database.call(OUTCOME, {"generation": generation_id})
            return StoringStart(outcome=to_outcome(generation_id, ended))
        if row.state == "canceled":
            return StoringStart()
        return StoringStart(
            ResultToStore(
                generation=to_generation(row),
                provider=to_request(row, attempt.ordinal).provider,
                files=stored_files(row.result),
                delivered=stored_images(row.result),
                undelivered=stored_undelivered(row.result),
                recorded=images_from_json(row.recorded),
                unstored=tuple(row.unstored),
                age_seconds=row.age_seconds,
                is_grant_due=row.is_grant_due,
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
