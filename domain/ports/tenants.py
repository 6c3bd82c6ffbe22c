"""What a tenant has in use, read to hold its limits."""

from typing import Protocol

from domain.session import KeyFacts
from domain.tenant import FileUsage, TenantUsage


class TenantUsages(Protocol):
    """Reads what counts against a tenant's limits."""

    async def read_usage(self, tenant_id: str, *, max_generations: int) -> TenantUsage:
        """Return credits and generations; these are counted up to one more than `max_generations`."""
        ...

    async def read_file_usage(self, tenant_id: str, *, max_files: int) -> FileUsage:
        """Return the files that have not expired, counted up to one more than `max_files`."""
        ...


class ApiKeys(Protocol):
    """Reads what a client may know of its key."""

    async def read_key(self, key_id: str) -> KeyFacts:
        """Raises Unauthenticated for a key that there is not."""
        ...


class TenantStates(Protocol):
    """Whether a tenant may do anything, where no key of it is at hand."""

    async def require_active(self, tenant_id: str) -> None:
        """Raises TenantSuspended."""
        ...
