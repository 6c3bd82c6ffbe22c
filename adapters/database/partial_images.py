"""Which generations have partial images, and their events."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from datetime import timedelta

from sqlalchemy import text

from adapters.database.engine import Database
from domain.events import EventType
from domain.partial_images import PartialImage
from domain.ports import PartialImageOwner

_EXPECT = text("""
WITH generation AS (
    SELECT id, tenant_id FROM generations WHERE id = :id AND finished_at IS NULL FOR UPDATE
), expected AS (
    INSERT INTO partial_images (generation_id) SELECT id FROM generation ON CONFLICT DO NOTHING
)
SELECT tenant_id, id FROM generation
""")
# The row is locked before the event has its number, which the function counts in a snapshot of its own.
_RECORD = text("""
WITH generation AS MATERIALIZED (
    SELECT id, tenant_id FROM generations WHERE id = :id AND finished_at IS NULL FOR UPDATE
)
SELECT write_event(tenant_id, id, :type, CAST(:data AS jsonb)) FROM generation
""")
_TO_DELETE = text("""
SELECT generations.tenant_id, generations.id FROM partial_images
JOIN generations ON generations.id = partial_images.generation_id
WHERE finished_at < now() - CAST(:age AS interval) ORDER BY partial_images.created_at LIMIT :limit
""")
_MARK_DELETED = text("DELETE FROM partial_images WHERE generation_id = :id")


class PostgresPartialImages:
    """The table has a row for as long as a partial image may be in the object store."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def expect_partial_images(self, generation_id: str) -> PartialImageOwner | None:
        rows = await self._database.call(_EXPECT, {"id": generation_id})
        return PartialImageOwner(rows[0].tenant_id, rows[0].id) if rows else None

    async def record(self, generation_id: str, image: PartialImage) -> None:
        values = {"id": generation_id, "type": EventType.IMAGE_PARTIAL, "data": json.dumps(asdict(image))}
        await self._database.call(_RECORD, values)

    async def list_to_delete(self, older_than: timedelta, limit: int) -> Sequence[PartialImageOwner]:
        rows = await self._database.call(_TO_DELETE, {"age": older_than, "limit": limit})
        return [PartialImageOwner(row.tenant_id, row.id) for row in rows]

    async def mark_deleted(self, generation_id: str) -> None:
        await self._database.call(_MARK_DELETED, {"id": generation_id})
