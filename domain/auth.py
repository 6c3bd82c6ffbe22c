"""Who calls the API and what they may do. Pure data."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from domain.errors import InvalidInput, ScopeMissing


class Scope(StrEnum):
    """What an API key may be allowed to do. WRITE_WEBHOOKS is the same as MANAGE_WEBHOOKS, its first name."""

    READ_GENERATIONS = "generations:read"
    WRITE_GENERATIONS = "generations:write"
    READ_CREDITS = "credits:read"
    MANAGE_WEBHOOKS = "webhooks:manage"
    WRITE_CREDITS = "credits:write"
    WRITE_WEBHOOKS = "webhooks:write"
    WRITE_KEYS = "keys:write"


# What a key gets that an operator makes without naming scopes.
DEFAULT_SCOPES = (
    *(Scope.READ_GENERATIONS, Scope.WRITE_GENERATIONS),
    *(Scope.READ_CREDITS, Scope.MANAGE_WEBHOOKS),
)
_READ = (Scope.READ_GENERATIONS, Scope.READ_CREDITS)
# Short for several; never stored.
PRESETS: Mapping[str, tuple[Scope, ...]] = {
    "read": _READ,
    "write": (*_READ, Scope.WRITE_GENERATIONS),
    "admin": tuple(Scope),
}
SCOPE_NAMES = (*Scope, *PRESETS)
_SAME = frozenset({Scope.MANAGE_WEBHOOKS, Scope.WRITE_WEBHOOKS})


def expand_scopes(names: Iterable[str]) -> tuple[Scope, ...]:
    """Return the scopes that these names of scopes and presets stand for. Raises InvalidInput."""
    wanted: set[str] = set()
    for name in names:
        if name not in SCOPE_NAMES:
            raise InvalidInput(errors=(("scopes", f"each one of {', '.join(SCOPE_NAMES)}"),))
        wanted.update(PRESETS.get(name, (name,)))
    if not wanted:
        raise InvalidInput(errors=(("scopes", "at least one"),))
    return tuple(scope for scope in Scope if scope in wanted)


def scopes_beyond(own: Iterable[str], wanted: Iterable[str]) -> list[str]:
    """Return those of the wanted scopes that are not among a key's own, by whichever name it has them."""
    allowed = set(own)
    if allowed & _SAME:
        allowed |= _SAME
    return sorted(set(wanted) - allowed)


@dataclass(frozen=True)
class Caller:
    """An authenticated API key, the only source of the tenant id.

    tenant_limits, key_limits: What differs from the defaults, by the name in domain/tenant.py.
    monthly_budget_credits, max_held_credits: What the key may spend in a month, and have held at once.
    """

    tenant_id: str
    key_id: str
    scopes: frozenset[str]
    tenant_limits: Mapping[str, float] = field(default_factory=dict)
    key_limits: Mapping[str, float] = field(default_factory=dict)
    monthly_budget_credits: int | None = None
    max_held_credits: int | None = None

    @property
    def has_caps(self) -> bool:
        """Return whether the key may spend less than its tenant."""
        return self.monthly_budget_credits is not None or self.max_held_credits is not None

    @property
    def party(self) -> str:
        """Return whose requests count together."""
        return self.tenant_id

    def require(self, scope: Scope) -> None:
        """Raises ScopeMissing."""
        if scopes_beyond(self.scopes, (scope,)):
            raise ScopeMissing(f"this API key does not have the scope {scope}")
