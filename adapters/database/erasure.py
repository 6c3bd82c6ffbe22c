"""Erasing what belongs to a client. The ledger, costs, ids and times stay, without the person in them."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from sqlalchemy import bindparam, func, select, text, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from adapters.database.audit import record
from adapters.database.batch_erasure import (
    CLOSE_BATCHES,
    ERASE_ITEMS,
    HAS_BATCHES_LEFT,
    erase_batches,
    erase_due_batches,
)
from adapters.database.batch_needs import IS_NEEDED_BY_A_BATCH
from adapters.database.engine import Database
from adapters.database.tables import GenerationRow, InputFileRow, TenantRow
from adapters.database.tables.columns import NO_KEY_UPDATE, TERMINAL
from adapters.database.tables.mapping import is_terminal, locked_generation
from adapters.database.usage_outbox import UNCOLLECTED_SINCE, PostgresUsageOutbox
from adapters.database.webhook_erasure import erase_webhooks
from domain.audit import SYSTEM, Actor, AuditAction
from domain.errors import FileInUse, FileNotFound, GenerationNotFound, NotTerminal, TenantNotFound
from domain.retention import DataKind, Retention

_SETTLED = timedelta(minutes=2)
_OWNER = select(col(GenerationRow.tenant_id)).where(col(GenerationRow.id) == bindparam("id"))
# A late report of the second attempt still finds which provider it was at.
_ERASE_CONTENT = """
UPDATE generations SET content_erased_at = now(), prompt = '', parameters = '{}', metadata = '{}',
    inputs = '[]', mask = NULL, webhook_url = NULL, fallback = jsonb_set(fallback, '{parameters}', '{}')
WHERE id = ANY (CAST(:ids AS text[])) AND content_erased_at IS NULL
"""
# What a provider logs may repeat the prompt.
_ERASE_LOGS = """
UPDATE attempts SET progress = progress #- '{said,logs}' WHERE generation_id = ANY (CAST(:ids AS text[]))
    AND progress #> '{said,logs}' IS NOT NULL
"""
# Its objects are deleted by the reconciler, by the mark that it looks for.
_ERASE_IMAGES = """
UPDATE generations SET images_erased_at = now(), objects_deleted_at = NULL
WHERE id = ANY (CAST(:ids AS text[])) AND images_erased_at IS NULL
"""
_ERASE_PROVIDER_DATA = (
    """
UPDATE generations SET provider_data_erased_at = now()
WHERE id = ANY (CAST(:ids AS text[])) AND provider_data_erased_at IS NULL
""",
    """
UPDATE attempts SET provider_message = NULL, provider_urls = NULL, progress = NULL,
    result = jsonb_set(jsonb_set(result, '{files}', '[]'), '{images}', '[]')
WHERE generation_id = ANY (CAST(:ids AS text[]))
""",
    """
UPDATE inbox SET result = jsonb_set(jsonb_set(result, '{files}', '[]'), '{images}', '[]')
WHERE generation_id = ANY (CAST(:ids AS text[]))
""",
    "DELETE FROM unstored_images WHERE generation_id = ANY (CAST(:ids AS text[]))",
)
_STATEMENTS: dict[DataKind, tuple[str, ...]] = {
    DataKind.IMAGES: (_ERASE_IMAGES,),
    DataKind.CONTENT: (_ERASE_CONTENT, _ERASE_LOGS, *ERASE_ITEMS),
    DataKind.PROVIDER_DATA: _ERASE_PROVIDER_DATA,
}
# Each tenant is one look into an index, from the generation at which its last erasure ended.
_DUE = text("""
SELECT t.id AS tenant_id, g.id, g.finished_at
FROM (
    SELECT id, coalesce(CAST(erased_until -> :kind ->> 0 AS timestamptz), '-infinity') AS erased_until,
        coalesce(erased_until -> :kind ->> 1, '') AS erased_id,
        CASE WHEN retention_days ? :kind THEN CAST(retention_days ->> :kind AS float8)
            ELSE CAST(:days AS float8) END AS days
    FROM tenants
) AS t
CROSS JOIN LATERAL (
    SELECT id, finished_at FROM generations
    WHERE tenant_id = t.id AND finished_at IS NOT NULL AND deleted_at IS NULL
        AND finished_at < least(
            now() - make_interval(secs => t.days * 86400), now() - CAST(:settled AS interval)
        )
        AND (finished_at, id) > (t.erased_until, t.erased_id)
    ORDER BY finished_at, id LIMIT :limit
) AS g
WHERE t.days IS NOT NULL LIMIT :limit
""")
_EXPIRED = text("""
SELECT id FROM generations WHERE images_expire_at <= now() AND images_expire_at IS NOT NULL
    AND images_erased_at IS NULL ORDER BY images_expire_at LIMIT :limit FOR UPDATE SKIP LOCKED
""")
_ADVANCE = text("""
UPDATE tenants
SET erased_until = erased_until
    || jsonb_build_object(CAST(:kind AS text), jsonb_build_array(CAST(:until AS text), CAST(:id AS text)))
WHERE id = :tenant
""")
_NEEDED = text(f"""
SELECT EXISTS (
    SELECT FROM generations WHERE tenant_id = :tenant AND deleted_at IS NULL AND status NOT IN {TERMINAL}
        AND (inputs ? :file OR mask = :file)
) OR {IS_NEEDED_BY_A_BATCH}
""")  # noqa: S608 - constants
# Never a charge that is not in the outbox of usage events: no worker may have been there to read it.
_PURGE_EVENTS = text(
    "SELECT purge_events(least(now() - make_interval(secs => CAST(:days AS float8) * 86400),"
    f" ({UNCOLLECTED_SINCE})), :limit) AS purged"
)
_TO_ERASE = text(
    "SELECT id FROM tenants WHERE erasure_requested_at IS NOT NULL AND erased_at IS NULL"
    " ORDER BY id LIMIT :limit"
)
_ENDED = text("""
SELECT id FROM generations
WHERE tenant_id = :tenant AND finished_at IS NOT NULL AND deleted_at IS NULL
ORDER BY finished_at, id LIMIT :limit FOR UPDATE SKIP LOCKED
""")
_MARK_DELETED = text("""
UPDATE generations SET deleted_at = now(), idempotency_key = NULL, fingerprint = ''
WHERE id = ANY (CAST(:ids AS text[]))
""")
_LEFT = text(f"""
SELECT EXISTS (SELECT 1 FROM generations
        WHERE tenant_id = :tenant AND finished_at IS NOT NULL AND deleted_at IS NULL)
    OR EXISTS (SELECT 1 FROM generations WHERE tenant_id = :tenant AND status NOT IN {TERMINAL})
    OR EXISTS (SELECT 1 FROM input_files WHERE tenant_id = :tenant)
    OR EXISTS (SELECT 1 FROM generations WHERE tenant_id = :tenant AND images_erased_at IS NOT NULL
        AND storing_at IS NOT NULL AND objects_deleted_at IS NULL)
    OR EXISTS (SELECT 1 FROM partial_images JOIN generations ON generations.id = generation_id
        WHERE tenant_id = :tenant)
    OR {HAS_BATCHES_LEFT}
""")  # noqa: S608 - constants
_ERASE_NAME = text(
    "UPDATE tenants SET name = '', erased_at = now() WHERE id = :tenant AND erased_at IS NULL RETURNING id"
)
_OPEN = f"SELECT count(*) FROM generations WHERE tenant_id = :tenant AND status NOT IN {TERMINAL}"  # noqa: S608
_REVOKE_KEYS = text(
    "UPDATE api_keys SET revoked_at = now() WHERE tenant_id = :tenant AND revoked_at IS NULL RETURNING id"
)
_FORGET_KEYS = text("""
UPDATE generations SET idempotency_key = NULL, fingerprint = '' WHERE id IN (
    SELECT id FROM generations WHERE tenant_id = :tenant AND idempotency_key IS NOT NULL
        AND deleted_at IS NOT NULL LIMIT :limit
) RETURNING id
""")
_CLOSE = (
    "UPDATE input_files SET expires_at = now() WHERE tenant_id = :tenant AND expires_at > now()",
    # What is being stored or settled ends by itself; the reconciler signals the others.
    f"""
    UPDATE generations SET cancel_requested_at = now()
    WHERE tenant_id = :tenant AND status NOT IN {TERMINAL} AND cancel_requested_at IS NULL
        AND stage NOT IN ('storing', 'settling')
    """,  # noqa: S608 - a constant
    CLOSE_BATCHES,
)


class PostgresErasure:
    """Erases by statements over many rows; a row that is erased stays as it is when that is repeated.

    settled: After which time no transaction is open any more that ended a generation: its end is the start of
    that transaction, and what is looked past once is never looked at again.
    """

    def __init__(self, database: Database, *, settled: timedelta = _SETTLED) -> None:
        self._database = database
        self._settled = settled

    async def delete_generation(self, tenant_id: str, generation_id: str, *, by: Actor) -> None:
        async with self._database.begin() as session:
            # Before the lock: another tenant must not wait for it, nor learn that there is one.
            if await session.scalar(_OWNER, {"id": generation_id}) != tenant_id:
                raise GenerationNotFound
            row = await locked_generation(session, generation_id)
            if not is_terminal(row):
                raise NotTerminal
            if row.deleted_at is not None:
                return
            row.deleted_at = await session.scalar(select(func.now()))
            if row.idempotency_key is None:
                row.fingerprint = ""  # no repeat will be compared with it
            await session.flush()
            await _erase(session, [generation_id], list(DataKind))
            await record(session, by, AuditAction.DELETE_GENERATION, generation_id, tenant_id)

    async def expire_file(self, tenant_id: str, file_id: str, *, by: Actor) -> None:
        expire = (
            update(InputFileRow)
            .where(
                col(InputFileRow.id) == file_id,
                col(InputFileRow.tenant_id) == tenant_id,
                col(InputFileRow.expires_at) > func.now(),
            )
            .values(expires_at=func.now())
            .returning(col(InputFileRow.id))
        )
        async with self._database.begin() as session:
            if await session.scalar(expire) is None:
                raise FileNotFound
            # After the lock on the file, which its use by a new generation takes too.
            if await session.scalar(_NEEDED, {"tenant": tenant_id, "file": file_id}):
                raise FileInUse
            await record(session, by, AuditAction.DELETE_FILE, file_id, tenant_id)

    async def erase_due(self, kind: DataKind, retention: Retention, limit: int) -> int:
        async with self._database.begin() as session:
            days = retention.days.get(kind)
            values = {"kind": kind.value, "days": days, "settled": self._settled, "limit": limit}
            due = (await session.execute(_DUE, values)).all()
            await _erase(session, [row.id for row in due], [kind])
            last = {row.tenant_id: row for row in due}
            for tenant_id, row in last.items():
                done = {"tenant": tenant_id, "until": row.finished_at.isoformat(), "id": row.id}
                await session.execute(_ADVANCE, done | {"kind": kind.value})
            erased = await erase_due_batches(session, days, limit) if kind is DataKind.CONTENT else 0
        return len(due) + erased

    async def erase_expired_images(self, limit: int) -> int:
        async with self._database.begin() as session:
            ids = list(await session.scalars(_EXPIRED, {"limit": limit}))
            await _erase(session, ids, [DataKind.IMAGES])
        return len(ids)

    async def purge_events(self, retention: Retention, limit: int) -> int:
        if retention.event_days is None:
            return 0
        await PostgresUsageOutbox(self._database).collect_all(limit)
        [row] = await self._database.call(_PURGE_EVENTS, {"days": retention.event_days, "limit": limit})
        return int(row.purged)

    async def list_tenants_to_erase(self, limit: int) -> Sequence[str]:
        async with self._database.begin() as session:
            return list(await session.scalars(_TO_ERASE, {"limit": limit}))

    async def erase_tenant_batch(self, tenant_id: str, limit: int) -> int:
        async with self._database.begin() as session:
            # Again, for what a request in flight has added since.
            for statement in _CLOSE:
                await session.execute(text(statement), {"tenant": tenant_id})
            values = {"tenant": tenant_id, "limit": limit}
            ids = list(await session.scalars(_ENDED, values))
            if ids:
                await _erase(session, ids, list(DataKind))
                await session.execute(_MARK_DELETED, {"ids": ids})
                return len(ids)
            # Of those that their client had deleted.
            keyed = len((await session.execute(_FORGET_KEYS, values)).all())
            keyed += await erase_webhooks(session, tenant_id, limit)
            keyed += await erase_batches(session, tenant_id, limit)
            if not keyed and not await session.scalar(_LEFT, {"tenant": tenant_id}):
                await _erase_account(session, tenant_id)
            return keyed


async def _erase(session: AsyncSession, ids: Sequence[str], kinds: Sequence[DataKind]) -> None:
    for statement in (statement for kind in kinds for statement in _STATEMENTS[kind]):
        await session.execute(text(statement), {"ids": list(ids)})


async def request_erasure(database: Database, tenant_id: str, *, by: Actor) -> int:
    """Suspend a tenant for good, and have all of it erased; return how many open generations it waits for.

    They are canceled. Safe to repeat. Raises TenantNotFound.
    """
    async with database.begin() as session:
        row: TenantRow | None = await session.get(TenantRow, tenant_id, with_for_update=NO_KEY_UPDATE)
        if row is None:
            raise TenantNotFound
        if row.erasure_requested_at is None:
            row.erasure_requested_at = row.suspended_at = await session.scalar(select(func.now()))
            await session.flush()
            for statement in _CLOSE:
                await session.execute(text(statement), {"tenant": tenant_id})
            for key_id in await session.scalars(_REVOKE_KEYS, {"tenant": tenant_id}):
                await record(session, by, AuditAction.REVOKE_KEY, key_id, tenant_id)
            await record(session, by, AuditAction.ERASE_TENANT, tenant_id, tenant_id, is_done=False)
        return int(await session.scalar(text(_OPEN), {"tenant": tenant_id}) or 0)


async def _erase_account(session: AsyncSession, tenant_id: str) -> None:
    values: dict[str, Any] = {"tenant": tenant_id}
    if await session.scalar(_ERASE_NAME, values) is not None:
        await session.execute(text("UPDATE api_keys SET name = '' WHERE tenant_id = :tenant"), values)
        await record(session, SYSTEM, AuditAction.ERASE_TENANT, tenant_id, tenant_id, is_done=True)
