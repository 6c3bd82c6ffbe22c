"""What a key is and may do."""

from datetime import datetime

from pydantic import BaseModel

from api.http.schemas.credits import BalanceView
from domain.auth import Scope
from domain.tenant import RatePolicy


class KeyView(BaseModel):
    """The API key of the request. `expires_at` is null if it does not expire, a cap if it has none."""

    id: str
    name: str
    scopes: list[Scope]
    created_at: datetime
    expires_at: datetime | None
    monthly_budget_credits: int | None
    max_held_credits: int | None


class RateView(BaseModel):
    """An allowance of requests, as the header fields RateLimit-Policy and RateLimit tell it.

    Attributes:
        quota: Requests of a full allowance, which takes `window_seconds` to fill.
        remaining: Requests that may be sent now.
        reset_seconds: Until it is full again, or, if nothing is left, until the next request.
    """

    policy: RatePolicy
    quota: int
    window_seconds: int
    remaining: int
    reset_seconds: int


class UsageView(BaseModel):
    """What all keys of the tenant use of a limit. It is not counted much further than to `max`."""

    used: int
    max: int


class LimitsView(BaseModel):
    """The tenant's limits, by what they limit. `uncharged_credits`: of today (UTC)."""

    open_generations: UsageView
    waiting_generations: UsageView
    files: UsageView
    file_bytes: UsageView
    uncharged_credits: UsageView


class SessionView(BaseModel):
    """Who the key is, and what is left for it. `credits` is null without the scope `credits:read`."""

    tenant_id: str
    key: KeyView
    rates: list[RateView]
    limits: LimitsView
    credits: BalanceView | None
