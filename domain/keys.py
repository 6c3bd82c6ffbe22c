"""API keys as keys manage them: none makes or edits one that may do more, or for longer, than itself."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from domain.auth import scopes_beyond
from domain.key_budgets import KeySpending
from domain.tenant import KEY_LIMITS

MAX_KEY_NAME_CHARACTERS = 200
MAX_CAP_CREDITS = 10**15


@dataclass(frozen=True)
class KeyPowers:
    """What an API key may do, for how long and for how much.

    Attributes:
        expires_at: None if it does not expire, which is later than any moment.
        limits: Rates of its own, by the name in domain/tenant.py. A name that is missing has no bound here.
        monthly_budget_credits, max_held_credits: None for no cap, which is higher than any.
    """

    scopes: frozenset[str]
    expires_at: datetime | None = None
    limits: Mapping[str, float] = field(default_factory=dict)
    monthly_budget_credits: int | None = None
    max_held_credits: int | None = None

    def changed(self, given: Mapping[str, Any]) -> "KeyPowers":
        """Return these powers with the fields that are given. Of limits, None takes one away."""
        limits = {**self.limits, **given.get("limits", {})}
        powers = {name: given[name] for name in _FIELDS if name in given}
        return replace(
            self, **powers, limits={name: value for name, value in limits.items() if value is not None}
        )

    def beyond(self, own: "KeyPowers") -> tuple[tuple[str, str], ...]:
        """Return each field in which these powers exceed a key's own, and the most that it may be."""
        return tuple(_beyond(own, self))


_FIELDS = ("scopes", "expires_at", "monthly_budget_credits", "max_held_credits")


def _beyond(own: KeyPowers, wanted: KeyPowers) -> Iterator[tuple[str, str]]:
    if missing := scopes_beyond(own.scopes, wanted.scopes):
        yield "scopes", f"this API key itself does not have {', '.join(missing)}"
    if own.expires_at is not None and (wanted.expires_at is None or wanted.expires_at > own.expires_at):
        yield "expires_at", f"at the latest {own.expires_at.isoformat()}, when this API key expires"
    for name in KEY_LIMITS:
        if _is_higher(wanted.limits.get(name), own.limits.get(name)):
            yield f"limits.{name}", f"at most {own.limits[name]}, as this API key has"
    for name in ("monthly_budget_credits", "max_held_credits"):
        if _is_higher(getattr(wanted, name), most := getattr(own, name)):
            yield name, f"at most {most}, as this API key has"


def _is_higher(wanted: float | None, own: float | None) -> bool:
    return own is not None and (wanted is None or wanted > own)


@dataclass(frozen=True)
class ManagedKey:
    """An API key without its secret. created_by: the key that made it; None for an operator."""

    id: str
    name: str
    powers: KeyPowers
    spending: KeySpending
    created_at: datetime
    created_by: str | None
    last_used_at: datetime | None
    revoked_at: datetime | None


@dataclass(frozen=True)
class NewKey:
    """A key at the only moment its secret is known."""

    key_id: str
    api_key: str


@dataclass(frozen=True)
class KeyPosition:
    """Where a list of keys continues, newest first."""

    created_at: datetime
    id: str
