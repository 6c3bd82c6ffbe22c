"""Work that a provider took on and that is not delivered: what the client pays, and what nobody pays."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import bindparam, select, text
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from adapters.database.tables import AttemptRow, GenerationRow
from domain.attempt import AttemptState
from domain.charging import ChargePolicy, undelivered_charge
from domain.errors import ContentRejected
from domain.generation import Status, TerminalState

_ATTEMPTS = select(
    col(AttemptRow.state), col(AttemptRow.code), col(AttemptRow.cost_amount), col(AttemptRow.cost_unit)
).where(col(AttemptRow.generation_id) == bindparam("id"))
# What the provider took on; neither a submit without a clear response nor what it does not bill.
_ACCEPTED = (AttemptState.ACCEPTED, AttemptState.SUCCEEDED, AttemptState.FAILED)
_COUNT = text("""
INSERT INTO uncharged_costs (tenant_id, day, generations, price_credits)
VALUES (:tenant, (now() AT TIME ZONE 'UTC')::date, 1, :credits)
ON CONFLICT (tenant_id, day) DO UPDATE
SET generations = uncharged_costs.generations + 1,
    price_credits = uncharged_costs.price_credits + excluded.price_credits
""")


async def charge_undelivered(session: AsyncSession, row: GenerationRow, end: TerminalState) -> int:
    """Return what the end of a generation with a hold costs its client, by the policies on its row.

    Only a client's own cancel and content that a provider refused can cost anything: no deadline, no unknown
    submit, no operator's cancel, no fault of ours. What a provider had taken on and the client does not pay
    is added to the tenant's uncharged costs.
    """
    is_refused = end.status is Status.FAILED and end.code == ContentRejected.code
    is_canceled = (
        end.status is Status.CANCELED and end.attention is None and row.cancel_requested_at is not None
    )
    if not (is_refused or is_canceled):
        return 0
    attempts = (await session.execute(_ATTEMPTS, {"id": row.id})).all()
    accepted = [attempt for attempt in attempts if attempt.state in _ACCEPTED]
    if is_canceled:
        charged = _charge(ChargePolicy(row.cancel_after_submit), row, accepted)
    else:
        refused = [attempt for attempt in attempts if attempt.code == ContentRejected.code]
        charged = _charge(ChargePolicy(row.moderation), row, refused)
    if accepted and charged < row.price_credits:
        await session.execute(_COUNT, {"tenant": row.tenant_id, "credits": row.price_credits - charged})
    return charged


def _charge(policy: ChargePolicy, row: GenerationRow, attempts: Sequence[Any]) -> int:
    if not attempts:
        return 0
    costs = [(attempt.cost_amount, attempt.cost_unit) for attempt in attempts]
    return undelivered_charge(policy, row.held_credits, costs, row.credits_per_cost_unit)
