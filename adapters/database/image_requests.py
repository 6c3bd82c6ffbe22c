"""Leases of the connections that wait for jobs, and how a repeated request takes one over.

Whoever creates a job for a request holds the request's lock until the row is committed, and so does whoever
looks for one: none is overlooked because it was just being written. The clock is the database's.
"""

from collections.abc import Sequence
from datetime import timedelta

from sqlalchemy import bindparam, delete, func, insert, select, text, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from adapters.database.engine import Database
from adapters.database.tables import ImageRequestRow
from domain.errors import RequestAbandoned
from domain.image_requests import ImageRequest
from domain.ports import AdoptableJobs

# Renewed three times as often (api/services/request_leases.py).
LEASE = timedelta(seconds=6)
_ADOPTED_WITHIN = timedelta(minutes=15)
# Longer than the tries of a client, each of which renews the row for as long as it waits.
_OLD = timedelta(hours=2)
_MAX_CANDIDATES, _MAX_FORGOTTEN = 50, 1000

_LOCK = text("SELECT pg_advisory_xact_lock(hashtextextended(:request, 0))")
_ALIKE = (
    col(ImageRequestRow.api_key_id) == bindparam("api_key"),
    col(ImageRequestRow.route) == bindparam("of_route"),
    col(ImageRequestRow.fingerprint).in_(bindparam("fingerprints", expanding=True)),
    col(ImageRequestRow.retry_count) < bindparam("tries"),
    col(ImageRequestRow.connected_until) > func.now() - _ADOPTED_WITHIN,
)
_CANDIDATES = (
    select(ImageRequestRow)
    .where(*_ALIKE)
    .order_by(col(ImageRequestRow.created_at).desc())
    .limit(_MAX_CANDIDATES)
)
# Unless it was renewed since it was read.
_ADOPT = (
    update(ImageRequestRow)
    .where(
        col(ImageRequestRow.generation_id) == bindparam("generation"),
        col(ImageRequestRow.connected_until) == bindparam("read_until"),
    )
    .values(
        connection_id=bindparam("connection"),
        retry_count=bindparam("tries"),
        connected_until=func.clock_timestamp() + LEASE,
    )
    .returning(col(ImageRequestRow.generation_id))
)
_THESE = col(ImageRequestRow.connection_id).in_(bindparam("connections", expanding=True))
_RENEW = update(ImageRequestRow).where(_THESE).values(connected_until=func.now() + LEASE)
_END = (
    update(ImageRequestRow)
    .where(_THESE)
    .values(connected_until=func.least(col(ImageRequestRow.connected_until), func.now()))
)
_ANSWERED = delete(ImageRequestRow).where(_THESE)
# As an array: then each is looked up by its id.
_FORGET = text("""
DELETE FROM image_requests WHERE generation_id = ANY (ARRAY(
    SELECT generation_id FROM image_requests
    WHERE created_at < now() - :old AND connected_until < now() - :ended
    ORDER BY created_at LIMIT :most FOR UPDATE SKIP LOCKED
)) RETURNING generation_id
""").bindparams(old=_OLD, ended=_ADOPTED_WITHIN, most=_MAX_FORGOTTEN)


class PostgresImageRequests:
    """One row for each job that somebody waits for and that has no key of its client's."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def adopt(self, request: ImageRequest) -> AdoptableJobs:
        values = {
            "api_key": request.api_key_id,
            "of_route": request.route,
            "fingerprints": list(request.fingerprints),
            "tries": request.retry_count,
        }
        async with self._database.begin() as session:
            await _lock(session, request)
            now = (await session.scalars(select(func.clock_timestamp()))).one()
            rows = (await session.scalars(_CANDIDATES, values)).all()
            connected = {row.generation_id: row.connected_until for row in rows}
            ended = next((row.generation_id for row in rows if row.connected_until <= now), None)
            if ended is None:
                return AdoptableJobs(None, connected)
            taken = {
                "generation": ended,
                "read_until": connected[ended],
                "connection": request.connection_id,
                "tries": request.retry_count,
            }
            return AdoptableJobs(await session.scalar(_ADOPT, taken), connected)

    async def renew(self, connection_ids: Sequence[str]) -> None:
        await self._database.call(_RENEW, {"connections": list(connection_ids)})

    async def end(self, connection_ids: Sequence[str]) -> None:
        await self._database.call(_END, {"connections": list(connection_ids)})

    async def mark_answered(self, connection_ids: Sequence[str]) -> None:
        await self._database.call(_ANSWERED, {"connections": list(connection_ids)})

    async def forget_old(self) -> int:
        return len(await self._database.call(_FORGET, {}))


async def begin_request(session: AsyncSession, request: ImageRequest) -> None:
    """Lock a request before its job is created. Raises RequestAbandoned if its client is gone by then."""
    await _lock(session, request)
    if request.is_gone():
        raise RequestAbandoned


async def add_request(session: AsyncSession, request: ImageRequest, generation_id: str) -> None:
    """Record that a client waits for a job, in the transaction that creates it."""
    await session.execute(
        insert(ImageRequestRow).values(
            generation_id=generation_id,
            connection_id=request.connection_id,
            api_key_id=request.api_key_id,
            route=request.route,
            fingerprint=request.fingerprint,
            retry_count=request.retry_count,
            connected_until=func.now() + LEASE,
        )
    )


async def _lock(session: AsyncSession, request: ImageRequest) -> None:
    """Lock what is alike until the transaction ends, under every key that a process may sign with."""
    for fingerprint in sorted(request.fingerprints):
        await session.execute(_LOCK, {"request": f"{request.api_key_id} {request.route} {fingerprint}"})
