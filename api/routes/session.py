"""The key of the request."""

from dataclasses import asdict

from fastapi import APIRouter

from api.deps import AnyReader, ServicesDep, ShowsBudget
from api.http.credit_views import serialize_balance
from api.http.schemas.session import KeyView, LimitsView, RateView, SessionView, UsageView
from domain.auth import Scope
from domain.session import Session
from domain.tenant import RatePolicy

router = APIRouter(prefix="/v1/session", tags=["session"])


@router.get("")
async def get_session(caller: AnyReader, services: ServicesDep, _: ShowsBudget) -> SessionView:
    """Get whose key this is, what it may do, and what is left of its limits. Any key may."""
    session = await services.sessions.describe(caller)
    key, balance = session.key, session.balance
    allowances = [services.rate_limiter.allowance(caller, policy) for policy in RatePolicy]
    return SessionView(
        tenant_id=caller.tenant_id,
        key=KeyView(
            id=caller.key_id,
            name=key.name,
            scopes=[scope for scope in Scope if scope in caller.scopes],
            created_at=key.created_at,
            expires_at=key.expires_at,
            monthly_budget_credits=caller.monthly_budget_credits,
            max_held_credits=caller.max_held_credits,
        ),
        rates=[RateView(**asdict(allowance)) for allowance in allowances],
        limits=_limits(session),
        credits=serialize_balance(balance) if balance is not None else None,
    )


def _limits(session: Session) -> LimitsView:
    limits, usage, files = session.limits, session.usage, session.files
    return LimitsView(
        open_generations=UsageView(used=usage.open_generations, max=limits.max_open_generations),
        waiting_generations=UsageView(used=usage.waiting_generations, max=limits.max_waiting_generations),
        files=UsageView(used=files.files, max=limits.max_files),
        file_bytes=UsageView(used=files.size_bytes, max=limits.max_file_bytes),
        uncharged_credits=UsageView(used=usage.uncharged_credits, max=limits.max_uncharged_credits),
    )
