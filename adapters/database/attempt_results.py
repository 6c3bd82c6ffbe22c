"""How an attempt ended, as its row keeps it: reported by a poll, a webhook or a synchronous response."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Row, bindparam, func, select, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import AsyncSession

from adapters.database.tables import AttemptRow
from adapters.database.tables.mapping import result_to_json
from domain.attempt import AttemptState
from domain.generation import Image
from domain.moderation import ModeratedAt
from domain.provider import AttemptRef, JobStatus, PollResult, ProviderCost, ProviderResult

AnyAttemptRow = AttemptRow | Row[Any]

# The columns by which a row says how a submit, or its job, ended.
STORED_COLUMNS = "state, provider_job_id, code, moderated_at, result, late_at"
STORE_RESULT = (
    text(f"""
        SELECT {STORED_COLUMNS} FROM store_result(
            :generation, :ordinal, :job, :result, :message, :moderated_at, :does_not_charge, :cost_amount,
            :cost_unit, :has_fresh_files
        )
    """)  # noqa: S608 - a constant
    .bindparams(bindparam("result", type_=JSONB))
    .columns(result=JSONB)
)


def result_values(
    attempt: AttemptRef,
    result: ProviderResult,
    images: Sequence[Image] = (),
    *,
    job_id: str | None = None,
    has_fresh_files: bool = False,
) -> dict[str, Any]:
    """Return the parameters of STORE_RESULT. images: those of the result that are in our storage already."""
    return {
        "generation": attempt.generation_id,
        "ordinal": attempt.ordinal,
        "job": job_id,
        "result": result_to_json(result, images),
        "message": result.provider_message,
        "moderated_at": result.moderated_at,
        "does_not_charge": result.does_not_charge,
        "has_fresh_files": has_fresh_files,
        **cost_values(result.cost),
    }


def cost_values(cost: ProviderCost | None) -> dict[str, Any]:
    """Return a cost as parameters; two nulls change nothing."""
    if cost is None:
        return {"cost_amount": None, "cost_unit": None}
    return {"cost_amount": cost.amount, "cost_unit": cost.unit}


def poll_result(record: AnyAttemptRow) -> PollResult | None:
    if record.result is None:
        return None
    return PollResult(
        JobStatus(record.result["status"]),
        record.code,
        moderated_at=moderated_at(record),
        is_free=AttemptState(record.state).does_not_charge,
    )


def moderated_at(record: AnyAttemptRow) -> ModeratedAt | None:
    return ModeratedAt(record.moderated_at) if record.moderated_at else None


async def database_now(session: AsyncSession) -> datetime:
    """Return the database's clock, not the start of the transaction, which may have waited for its lock."""
    now = await session.scalar(select(func.clock_timestamp()))
    assert isinstance(now, datetime)
    return now
