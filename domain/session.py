"""Who a key is, and what is left for it to do. Pure data, without a secret."""

from dataclasses import dataclass
from datetime import datetime

from domain.credits import Balance
from domain.tenant import FileUsage, TenantLimits, TenantUsage


@dataclass(frozen=True)
class KeyFacts:
    """What tells an API key from others. expires_at: None if it does not expire."""

    name: str
    created_at: datetime
    expires_at: datetime | None


@dataclass(frozen=True)
class Session:
    """What a client may know of the key that it has.

    Attributes:
        limits: Of the tenant.
        usage, files: What counts against them, over all the tenant's keys.
        balance: None without the scope to read it.
    """

    key: KeyFacts
    limits: TenantLimits
    usage: TenantUsage
    files: FileUsage
    balance: Balance | None
