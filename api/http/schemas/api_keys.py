"""API keys, as their tenant manages them."""

from datetime import date, datetime
from typing import Annotated

from pydantic import BaseModel, Field, StrictFloat, StrictInt

from api.http.schemas.fields import Moment, RequestBody, Text
from domain.auth import SCOPE_NAMES, Scope
from domain.keys import MAX_CAP_CREDITS, MAX_KEY_NAME_CHARACTERS
from domain.tenant import MAX_LIMIT, min_limit

_Name = Annotated[Text, Field(max_length=MAX_KEY_NAME_CHARACTERS)]
_ScopeName = Annotated[Text, Field(json_schema_extra={"enum": list(SCOPE_NAMES)})]
_Scopes = Annotated[list[_ScopeName], Field(min_length=1, max_length=50)]
_Credits = Annotated[StrictInt, Field(ge=0, le=MAX_CAP_CREDITS)]


_PerSecond = Annotated[StrictInt | StrictFloat, Field(ge=min_limit("creates_per_second"), le=MAX_LIMIT)]
_Burst = Annotated[StrictInt, Field(ge=min_limit("create_burst"), le=MAX_LIMIT)]


class KeyLimits(RequestBody):
    """Rates of a key, inside those of its tenant (docs/tenants.md). Null takes one away."""

    creates_per_second: _PerSecond | None = None
    create_burst: _Burst | None = None
    reads_per_second: _PerSecond | None = None
    read_burst: _Burst | None = None
    cancels_per_second: _PerSecond | None = None
    cancel_burst: _Burst | None = None


class ApiKeyCreate(RequestBody):
    """What is left out is as of the key that makes it. Null is no cap, or no expiry.

    Attributes:
        scopes: Also `read`, `write` and `admin`, which stand for several.
        limits: Rates of its own, inside those of the tenant.
        monthly_budget_credits: What its jobs of a month (UTC) may cost.
        max_held_credits: What its open jobs may hold.
    """

    name: _Name = ""
    scopes: _Scopes
    expires_at: Moment | None = None
    limits: KeyLimits = KeyLimits()
    monthly_budget_credits: _Credits | None = None
    max_held_credits: _Credits | None = None


class ApiKeyChange(RequestBody):
    """What is left out stays. scopes: of those that the key has, the ones that it keeps."""

    name: _Name | None = None
    scopes: _Scopes | None = None
    expires_at: Moment | None = None
    limits: KeyLimits = KeyLimits()
    monthly_budget_credits: _Credits | None = None
    max_held_credits: _Credits | None = None


class KeySpendingView(BaseModel):
    """What a key spent and holds.

    Attributes:
        month: Its first day (UTC).
        charged_credits, held_credits: Of jobs whose credits were held in this month, by which a budget goes.
        all_held_credits: Of all open jobs.
    """

    month: date
    charged_credits: int
    held_credits: int
    all_held_credits: int


class ApiKeyView(BaseModel):
    """An API key, without its secret.

    Attributes:
        created_by: The key that made it; null if an operator did.
        last_used_at: To a minute.
    """

    id: str
    name: str
    scopes: list[Scope]
    limits: dict[str, float]
    monthly_budget_credits: int | None
    max_held_credits: int | None
    spending: KeySpendingView
    created_at: datetime
    created_by: str | None
    last_used_at: datetime | None
    expires_at: datetime | None
    revoked_at: datetime | None


class NewApiKeyView(ApiKeyView):
    """A key with its secret, which is shown this once."""

    api_key: str


class ApiKeyPage(BaseModel):
    """Newest first, also revoked ones. `next_cursor` is null on the last page."""

    data: list[ApiKeyView]
    next_cursor: str | None
