"""What the reconciler looks for, each list limited."""

from collections.abc import Sequence
from datetime import timedelta

from sqlalchemy import delete, func, or_, select, update
from sqlmodel import col

from adapters.database.engine import Database
from adapters.database.inbox import to_receipt
from adapters.database.tables import AttemptRow, GenerationRow, InboxRow, UnstoredImageRow
from adapters.database.tables.mapping import to_generation
from domain.catalog import Catalog
from domain.generation import Generation, Stage, Status
from domain.ports import StuckGeneration, WebhookReceipt
from domain.provider import AttemptRef

_OPEN = (Status.CREATED, Status.QUEUED, Status.PROCESSING)


class PostgresReconcileQueries:
    """Stuck generations, unrelayed webhooks, orphaned objects."""

    def __init__(self, database: Database, catalog: Catalog) -> None:
        self._database = database
        self._catalog = catalog

    async def list_stuck(self, older_than: timedelta, limit: int) -> Sequence[StuckGeneration]:
        """Return those that were not checked for longest; they count as checked now."""
        async with self._database.begin() as session:
            query = (
                select(GenerationRow)
                .where(
                    col(GenerationRow.status).in_(_OPEN),
                    or_(
                        col(GenerationRow.checked_at) < func.now() - older_than,
                        col(GenerationRow.cancel_requested_at) < func.now() - older_than,
                    ),
                )
                .order_by(col(GenerationRow.checked_at))
                .limit(limit)
                .with_for_update(skip_locked=True)
            )
            rows = (await session.scalars(query)).all()
            ids = [row.id for row in rows]
            await session.execute(
                update(GenerationRow).where(col(GenerationRow.id).in_(ids)).values(checked_at=func.now())
            )
            attempts = await session.execute(
                select(col(AttemptRow.generation_id), func.max(col(AttemptRow.ordinal)))
                .where(col(AttemptRow.generation_id).in_(ids))
                .group_by(col(AttemptRow.generation_id))
            )
            latest = {row_id: AttemptRef(row_id, ordinal) for row_id, ordinal in attempts}
        return [self._to_stuck(row, latest.get(row.id)) for row in rows]

    async def list_unrelayed(self, older_than: timedelta, limit: int) -> Sequence[WebhookReceipt]:
        query = (
            select(InboxRow)
            .where(col(InboxRow.relayed_at).is_(None), col(InboxRow.received_at) < func.now() - older_than)
            .order_by(col(InboxRow.received_at))
            .limit(limit)
        )
        async with self._database.begin() as session:
            return [to_receipt(row) for row in await session.scalars(query)]

    async def list_with_orphaned_objects(self, older_than: timedelta, limit: int) -> Sequence[Generation]:
        query = (
            select(GenerationRow)
            .where(
                col(GenerationRow.status).in_((Status.FAILED, Status.CANCELED)),
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

    def _to_stuck(self, row: GenerationRow, attempt: AttemptRef | None) -> StuckGeneration:
        generation = to_generation(row)
        return StuckGeneration(
            input=self._catalog.workflow_input(row.id, row.tenant_id, generation.request),
            title=row.model,
            stage=Stage(row.stage),
            attempt=attempt,
            cancel_requested=row.cancel_requested_at is not None,
        )
