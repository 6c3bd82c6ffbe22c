"""Operators' own systems, such as billing: their keys belong to no tenant. Pure data."""

from dataclasses import dataclass
from enum import StrEnum

from domain.audit import Actor
from domain.errors import ScopeMissing

# What an operator's key begins with. A tenant's begins with `dk_`.
OPERATOR_KEY_PREFIX = "dkop_"


class OperatorScope(StrEnum):
    """What an operator's key may be allowed to do. No tenant's key has any of these."""

    WRITE_GRANTS = "grants:write"
    READ_GRANTS = "grants:read"


@dataclass(frozen=True)
class Operator:
    """An authenticated operator's key."""

    key_id: str
    scopes: frozenset[str]

    @property
    def party(self) -> str:
        """Return whose requests count together; no tenant's id has a colon."""
        return f"operator:{self.key_id}"

    @property
    def actor(self) -> Actor:
        """Return the key as the audit trail names it."""
        return Actor(self.party)

    def require(self, scope: OperatorScope) -> None:
        """Raises ScopeMissing. Who may write may read, too: it has to check what it did."""
        if scope not in self.scopes and OperatorScope.WRITE_GRANTS not in self.scopes:
            raise ScopeMissing(f"this operator's key does not have the scope {scope}")
