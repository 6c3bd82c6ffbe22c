"""Evidence that a provider takes no jobs: added by pushbacks, deleted when a job is taken.

What follows from it is in functions/closures.sql. A probe that is taken deletes the row; one that is pushed
back too begins the pause again.
"""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from domain.provider import Pushback

# The endpoint of a closure that holds for all models.
WHOLE_ACCOUNT = ""
_MIN_EVIDENCE = 3
_SHUT = text("SELECT endpoint FROM closed_endpoints(:provider) WHERE is_shut")
# The row is locked first, so what one request adds is seen by the next.
_EVIDENCE = f"""
INSERT INTO provider_closures AS closure (provider, endpoint, pushed_back, code)
VALUES (:provider, :endpoint, ARRAY[CAST(:generation_id AS text)], :code)
ON CONFLICT (provider, endpoint) DO UPDATE SET code = excluded.code, pushed_back = CASE
    WHEN closure.pushed_back @> excluded.pushed_back OR cardinality(closure.pushed_back) >= {_MIN_EVIDENCE}
    THEN closure.pushed_back ELSE closure.pushed_back || excluded.pushed_back END
RETURNING cardinality(pushed_back) >= {_MIN_EVIDENCE} AS is_enough,
    closed_until IS NOT NULL AS is_closed, closed_until > clock_timestamp() AS is_shut
"""  # noqa: S608 - constants
_CLOSE = """
UPDATE provider_closures SET probe = NULL, probe_at = NULL,
    closed_until = greatest(closed_until, clock_timestamp() + make_interval(secs => :seconds))
WHERE provider = :provider AND endpoint = :endpoint
"""
# Not what was closed after this submit had begun.
_TAKEN = """
DELETE FROM provider_closures WHERE provider = :provider AND endpoint = ANY (CAST(:endpoints AS text[]))
    AND (closed_until IS NULL OR closed_until <= clock_timestamp())
"""
_MOMENT = text("SELECT clock_timestamp() + make_interval(secs => :seconds)")


async def shut_endpoints(session: AsyncSession, provider: str) -> list[str]:
    """Return the endpoints that nobody is granted a slot for now."""
    return list(await session.scalars(_SHUT, {"provider": provider}))


async def add_evidence(
    session: AsyncSession,
    provider: str,
    endpoint: str,
    generation_id: str,
    pushback: Pushback,
    seconds: float,
) -> bool:
    """Note that a generation was pushed back; return whether the provider is closed for it from now on."""
    scope = WHOLE_ACCOUNT if pushback.is_account_wide else endpoint
    values = {"provider": provider, "endpoint": scope, "generation_id": generation_id, "code": pushback.code}
    row = (await session.execute(text(_EVIDENCE), values)).one()
    # One that was sent before it closed does not make it longer.
    if (row.is_enough or row.is_closed) and not row.is_shut:
        await session.execute(text(_CLOSE), {"provider": provider, "endpoint": scope, "seconds": seconds})
    return bool(row.is_enough or row.is_closed)


async def moment_after(session: AsyncSession, seconds: float) -> datetime:
    """Return the database's time in so many seconds."""
    moment = await session.scalar(_MOMENT, {"seconds": seconds})
    assert isinstance(moment, datetime)
    return moment


async def forget_evidence(session: AsyncSession, provider: str, endpoints: Sequence[str]) -> None:
    """Note that a job was taken."""
    await session.execute(text(_TAKEN), {"provider": provider, "endpoints": list(endpoints)})
