"""Work that a provider took on and that is not delivered: what the client pays, and what nobody pays."""

from typing import Any

from sqlalchemy import bindparam, select, text
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from adapters.database.tables import AttemptRow, GenerationRow, TenantRow
from adapters.database.tables.mapping import charging_from_json, charging_of
from domain.attempt import AttemptState
from domain.charging import ChargePolicies, undelivered_charge
from domain.errors import ContentRejected
from domain.generation import Status, TerminalState

_ATTEMPTS = select(
    col(AttemptRow.provider),
    col(AttemptRow.state),
    col(AttemptRow.code),
    col(AttemptRow.cost_amount),
    col(AttemptRow.cost_unit),
).where(col(AttemptRow.generation_id) == bindparam("id"))
# What a cancel stops: a job that the provider has, or had finished. One that failed costs nobody more.
_CANCELABLE = (AttemptState.ACCEPTED, AttemptState.SUCCEEDED)
# What the provider took on; neither a submit without a clear response nor what it does not bill.
_TAKEN_ON = (*_CANCELABLE, AttemptState.FAILED)
_ERASURE = select(col(TenantRow.erasure_requested_at)).where(col(TenantRow.id) == bindparam("id"))
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
    if not is_refused and not await _is_canceled_by_client(session, row, end):
        return 0
    attempts = (await session.execute(_ATTEMPTS, {"id": row.id})).all()
    if is_refused:
        caused = [
            attempt
            for attempt in attempts
            if attempt.code == ContentRejected.code and attempt.state != AttemptState.FAILED_UNCHARGED
        ]
    else:
        caused = [attempt for attempt in attempts if attempt.state in _CANCELABLE]
    charged = min(row.held_credits, sum(_charge(row, attempt, is_refused=is_refused) for attempt in caused))
    is_taken_on = any(attempt.state in _TAKEN_ON for attempt in caused)
    if is_taken_on and charged < row.price_credits:
        await count_uncharged(session, row.tenant_id, row.price_credits - charged)
    return charged


async def count_uncharged(session: AsyncSession, tenant_id: str, credits: int) -> None:
    """Add to what the tenant caused today and did not pay."""
    await session.execute(_COUNT, {"tenant": tenant_id, "credits": credits})


async def _is_canceled_by_client(session: AsyncSession, row: GenerationRow, end: TerminalState) -> bool:
    """Return whether its client stopped it, and nothing else was wrong with it."""
    if end.status is not Status.CANCELED or row.cancel_requested_at is None:
        return False
    if end.attention is not None or row.needs_attention is not None:
        return False
    # The erasure of a tenant cancels what is open; an operator asked for it.
    erasure_requested_at = await session.scalar(_ERASURE, {"id": row.tenant_id})
    return erasure_requested_at is None or row.cancel_requested_at < erasure_requested_at


def _charge(row: GenerationRow, attempt: Any, *, is_refused: bool) -> int:
    policies = _policies(row, attempt.provider)
    policy = policies.moderation if is_refused else policies.cancel_after_submit
    costs = [(attempt.cost_amount, attempt.cost_unit)]
    return undelivered_charge(policy, row.held_credits, costs, policies.credits_per_cost_unit)


def _policies(row: GenerationRow, provider: str) -> ChargePolicies:
    """Return the policies of the model that an attempt was for: the client's, or its fallback."""
    if provider != row.provider:
        return charging_from_json(row.fallback_charging)
    return charging_of(row)
