"""When a provider is closed: on evidence about the account or a model, never after one request's 429.

A row counts the different generations that were pushed back since one was last taken. With enough of them
nobody is granted a slot for as long as the provider asked; then one job is, as a probe. If it is taken, the
row is deleted; if it is pushed back too, the pause begins again.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from domain.ports import Closure
from domain.provider import Pushback

# The endpoint of a closure that holds for all models.
WHOLE_ACCOUNT = ""
_MIN_EVIDENCE = 3
# A probe that was neither taken nor pushed back in this time, such as a call that takes a minute, passes.
PROBE_SECONDS = 10.0

_STATES = """
SELECT endpoint, code, closed_until > clock_timestamp() AS is_shut,
       greatest(0, extract(epoch FROM closed_until - clock_timestamp())) AS seconds,
       CASE WHEN probe_at > clock_timestamp() - make_interval(secs => :probe_seconds) THEN probe END AS probe
FROM provider_closures WHERE provider = :provider AND endpoint = ANY (CAST(:endpoints AS text[]))
"""
_CLOSED = """
SELECT closure.endpoint, closed_until > clock_timestamp() OR EXISTS (
    SELECT FROM provider_slots AS slot
    WHERE slot.generation_id = closure.probe AND slot.granted_at IS NOT NULL
        AND closure.probe_at > clock_timestamp() - make_interval(secs => :probe_seconds)) AS is_shut
FROM provider_closures AS closure WHERE provider = :provider AND closed_until IS NOT NULL
"""
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
_PROBE = """
UPDATE provider_closures SET probe = :generation_id, probe_at = clock_timestamp()
WHERE provider = :provider AND endpoint = :endpoint
"""
# Not what was closed after this submit had begun.
_TAKEN = """
DELETE FROM provider_closures WHERE provider = :provider AND endpoint = ANY (CAST(:endpoints AS text[]))
    AND (closed_until IS NULL OR closed_until <= clock_timestamp())
"""
_MOMENT = text("SELECT clock_timestamp() + make_interval(secs => :seconds)")


@dataclass(frozen=True)
class GrantRule:
    """Which endpoints may be granted slots now: none of `shut`, one job of each in `probed`."""

    shut: list[str]
    probed: list[str]


async def state_of(session: AsyncSession, provider: str, endpoint: str, generation_id: str) -> Closure:
    values = {
        "provider": provider,
        "endpoints": [WHOLE_ACCOUNT, endpoint],
        "probe_seconds": PROBE_SECONDS,
    }
    rows = (await session.execute(text(_STATES), values)).all()
    for row in rows:
        if row.is_shut or (row.probe is not None and row.probe != generation_id):
            return Closure(has_evidence=True, code=row.code, seconds=float(row.seconds))
    return Closure(has_evidence=bool(rows))


async def grant_rule(session: AsyncSession, provider: str) -> GrantRule:
    rows = (
        await session.execute(text(_CLOSED), {"provider": provider, "probe_seconds": PROBE_SECONDS})
    ).all()
    return GrantRule(
        [row.endpoint for row in rows if row.is_shut], [row.endpoint for row in rows if not row.is_shut]
    )


async def set_probe(session: AsyncSession, provider: str, endpoint: str, generation_id: str) -> None:
    await session.execute(
        text(_PROBE), {"provider": provider, "endpoint": endpoint, "generation_id": generation_id}
    )


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
