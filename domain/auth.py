"""Who calls the API and what they may do. Pure data."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from domain.errors import ScopeMissing


class Scope(StrEnum):
    """What an API key may be allowed to do."""

    READ_GENERATIONS = "generations:read"
    WRITE_GENERATIONS = "generations:write"
    READ_CREDITS = "credits:read"
    MANAGE_WEBHOOKS = "webhooks:manage"


@dataclass(frozen=True)
class Caller:
    """An authenticated API key, the only source of the tenant id.

    tenant_limits, key_limits: What differs from the defaults, by the name in domain/tenant.py.
    """

    tenant_id: str
    key_id: str
    scopes: frozenset[str]
    tenant_limits: Mapping[str, float] = field(default_factory=dict)
    key_limits: Mapping[str, float] = field(default_factory=dict)

    @property
    def party(self) -> str:
        """Return whose requests count together."""
        return self.tenant_id

    def require(self, scope: Scope) -> None:
        """Raises ScopeMissing."""
        if scope not in self.scopes:
            raise ScopeMissing(f"this API key does not have the scope {scope}")
