"""Who calls the API and what they may do. Pure data."""

from dataclasses import dataclass
from enum import StrEnum

from domain.errors import ScopeMissing


class Scope(StrEnum):
    """What an API key may be allowed to do."""

    READ_GENERATIONS = "generations:read"
    WRITE_GENERATIONS = "generations:write"
    READ_CREDITS = "credits:read"


@dataclass(frozen=True)
class Caller:
    """An authenticated API key, the only source of the tenant id."""

    tenant_id: str
    key_id: str
    scopes: frozenset[str]

    def require(self, scope: Scope) -> None:
        """Raises ScopeMissing."""
        if scope not in self.scopes:
            raise ScopeMissing(f"this API key does not have the scope {scope}")
