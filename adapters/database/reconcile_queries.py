"""What the reconciler looks for, each list limited."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from sqlalchemy import Boolean, ColumnElement, delete, func, literal_column, not_, select, text, update
from sqlmodel import col

from adapters.database.engine import Database
from adapters.database.inbox import to_receipt
from adapters.database.tables import AttemptRow, GenerationRow, InboxRow, UnstoredImageRow
from adapters.database.tables.columns import TERMINAL
from adapters.database.tables.mapping import to_generation
from domain.catalog import DEFAULT_TIMING, Catalog
from domain.generation import Generation, Stage, Status
from domain.ports import StuckGeneration, WebhookReceipt
from domain.provider import AttemptRef

# As the indexes have it, literally: PostgreSQL must see that they fit.
_IS_OPEN: ColumnElement[bool] = literal_column(f"status NOT IN {TERMINAL}", Boolean())
_HAS_NO_IMAGES: ColumnElement[bool] = literal_column(
    "(status IN ('failed', 'canceled') OR images_erased_at IS NOT NULL)", Boolean()
)
_IS_STARTED = col(GenerationRow.status) != Status.CREATED
_IS_CANCEL_WANTED: ColumnElement[bool] = literal_column("is_cancel_wanted(generations)", Boolean())
_CANCEL_AT = "((created_at AT TIME ZONE 'UTC') + cancel_after_seconds * interval '1 second')"
_IS_PAST_CANCEL_AT: ColumnElement[bool] = literal_column(
    f"(cancel_after_seconds IS NOT NULL AND {_CANCEL_AT} <= now() AT TIME ZONE 'UTC'"
    " AND stage NOT IN ('storing', 'settling'))",
    Boolean(),
)
STALLED = "stalled"
_FLAG_STALLED = text(f"""
UPDATE generations SET needs_attention = '{STALLED}' WHERE id IN (
    SELECT id FROM generations
    LEFT JOIN unnest(CAST(:models AS text[]), CAST(:seconds AS float8[])) AS timing (model, seconds)
        USING (model)
    WHERE status NOT IN {TERMINAL} AND needs_attention IS NULL
        AND moved_at < now() - make_interval(secs => CAST(:shortest AS float8))
        AND moved_at < now() - make_interval(secs => coalesce(seconds, CAST(:default AS float8)))
    LIMIT :limit FOR UPDATE OF generations SKIP LOCKED
) RETURNING id
""")  # noqa: S608 - constants


class PostgresReconcileQueries:
    """Stuck generations, unrelayed webhooks, orphaned objects."""

    def __init__(self, database: Database, catalog: Catalog) -> None:
        self._database = database
        self._catalog = catalog

    async def list_not_started(self, older_than: timedelta, limit: int) -> Sequence[StuckGeneration]:
        return await self._list(older_than, limit, col(GenerationRow.status) == literal_column("'created'"))

    async def list_to_cancel(self, older_than: timedelta, limit: int) -> Sequence[StuckGeneration]:
        requested = col(GenerationRow.cancel_requested_at).is_not(None)
        # One that was not started yet needs no signal: its first step reads the row.
        return await self._list(older_than, limit, _IS_OPEN, requested, _IS_STARTED)

    async def list_past_cancel_at(self, older_than: timedelta, limit: int) -> Sequence[StuckGeneration]:
        not_requested = col(GenerationRow.cancel_requested_at).is_(None)
        conditions = (_IS_PAST_CANCEL_AT, _IS_OPEN, not_requested, _IS_STARTED)
        return await self._list(older_than, limit, *conditions, order=literal_column(_CANCEL_AT))

    async def list_stuck(self, older_than: timedelta, limit: int) -> Sequence[StuckGeneration]:
        not_requested = col(GenerationRow.cancel_requested_at).is_(None)
        in_time = not_(_IS_PAST_CANCEL_AT)
        return await self._list(older_than, limit, _IS_OPEN, not_requested, in_time, _IS_STARTED)

    async def flag_stalled(self, limit: int) -> Sequence[str]:
        limits = {name: model.timing.total_seconds for name, model in self._catalog.models.items()}
        values = {
            "models": list(limits),
            "seconds": list(limits.values()),
            "default": DEFAULT_TIMING.total_seconds,
            "shortest": min((*limits.values(), DEFAULT_TIMING.total_seconds)),
            "limit": limit,
        }
        async with self._database.begin() as session:
            return list(await session.scalars(_FLAG_STALLED, values))

    async def list_unrelayed(
        self, older_than: timedelta, limit: int, *, after: int = 0
    ) -> Sequence[WebhookReceipt]:
        query = (
            select(InboxRow)
            .where(
                col(InboxRow.relayed_at).is_(None),
                col(InboxRow.received_at) < func.now() - older_than,
                col(InboxRow.id) > after,
            )
            .order_by(col(InboxRow.id))
            .limit(limit)
        )
        async with self._database.begin() as session:
            return [to_receipt(row) for row in await session.scalars(query)]

    async def list_with_orphaned_objects(self, older_than: timedelta, limit: int) -> Sequence[Generation]:
        query = (
            select(GenerationRow)
            .where(
                _HAS_NO_IMAGES,
                col(GenerationRow.storing_at).is_not(None),
                col(GenerationRow.objects_deleted_at).is_(None),
                col(GenerationRow.finished_at) < func.now() - older_than,
            )
            .order_by(col(GenerationRow.finished_at))
            .limit(limit)
        )
        async with self._database.begin() as session:
            return [to_generation(row) for row in await session.scalars(query)]

    async def mark_objects_deleted(self, generation_id: str) -> None:
        async with self._database.begin() as session:
            await session.execute(
                update(GenerationRow)
                .where(col(GenerationRow.id) == generation_id)
                .values(objects_deleted_at=func.now())
            )
            await session.execute(
                delete(UnstoredImageRow).where(col(UnstoredImageRow.generation_id) == generation_id)
            )

    async def _list(
        self,
        older_than: timedelta,
        limit: int,
        *conditions: ColumnElement[bool],
        order: ColumnElement[Any] | None = None,
    ) -> Sequence[StuckGeneration]:
        async with self._database.begin() as session:
            query = (
                select(GenerationRow, _IS_CANCEL_WANTED)
                .where(*conditions, col(GenerationRow.checked_at) < func.now() - older_than)
                .order_by(col(GenerationRow.checked_at) if order is None else order)
                .limit(limit)
                .with_for_update(skip_locked=True)
            )
            found = (await session.execute(query)).all()
            ids = [row.id for row, _ in found]
            await session.execute(
                update(GenerationRow).where(col(GenerationRow.id).in_(ids)).values(checked_at=func.now())
            )
            attempts = await session.execute(
                select(col(AttemptRow.generation_id), func.max(col(AttemptRow.ordinal)))
                .where(col(AttemptRow.generation_id).in_(ids))
                .group_by(col(AttemptRow.generation_id))
            )
            latest = {row_id: AttemptRef(row_id, ordinal) for row_id, ordinal in attempts}
        return [
            self._to_stuck(row, latest.get(row.id), cancel_requested=is_wanted) for row, is_wanted in found
        ]

    def _to_stuck(
        self, row: GenerationRow, attempt: AttemptRef | None, *, cancel_requested: bool
    ) -> StuckGeneration:
        generation = to_generation(row)
        return StuckGeneration(
            input=self._catalog.workflow_input(row.id, row.tenant_id, generation.request, row.created_at),
            title=row.model,
            stage=Stage(row.stage),
            attempt=attempt,
            cancel_requested=cancel_requested,
        )
