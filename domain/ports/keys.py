"""API keys: made, read, changed and revoked by keys; what they spent; whether they still may do anything."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any, Protocol

from domain.auth import Caller
from domain.errors import ServiceError
from domain.key_budgets import KeyUsage
from domain.keys import KeyPosition, ManagedKey, NewKey


class ManagedKeys(Protocol):
    """The keys of a tenant. What a caller may do is decided by its key as it is when the rows are locked.

    Each call that changes something raises Unauthenticated, TenantSuspended or ScopeMissing if the caller's
    key may not do it any more.
    """

    async def add_key(
        self, caller: Caller, name: str, given: Mapping[str, Any], *, max_keys: int
    ) -> tuple[ManagedKey, NewKey]:
        """Make a key with the caller's own powers, changed by what is given.

        Raises KeyExceedsOwn, InvalidInput for an expiry in the past, TooManyApiKeys.
        """
        ...

    async def get_key(self, tenant_id: str, key_id: str) -> ManagedKey:
        """Raises ApiKeyNotFound."""
        ...

    async def list_keys(
        self, tenant_id: str, *, after: KeyPosition | None, limit: int
    ) -> Sequence[ManagedKey]:
        """Return the keys, also revoked ones, newest first."""
        ...

    async def change_key(self, caller: Caller, key_id: str, given: Mapping[str, Any]) -> ManagedKey:
        """Change what is given. Neither before nor after may the key exceed the caller's own.

        Raises ApiKeyNotFound, ApiKeyEnded, KeyExceedsOwn, InvalidInput for more scopes or a past expiry.
        """
        ...

    async def revoke_own_key(self, caller: Caller, key_id: str) -> None:
        """Revoke a key of the caller's tenant; a revoked one stays so. Raises ApiKeyNotFound."""
        ...


class KeyUsages(Protocol):
    """Reads what counts against the caps of a key."""

    async def read_key_usage(self, tenant_id: str, key_id: str) -> KeyUsage: ...


class KeyStates(Protocol):
    """Whether keys and tenants whose streams are open still may read them."""

    async def refused(
        self, key_ids: Collection[str], tenant_ids: Collection[str]
    ) -> Mapping[str, ServiceError]:
        """Return those, by id, whose next request would be refused, with what it would be refused with."""
        ...
