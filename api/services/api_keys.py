"""API keys, as a tenant's own keys manage them."""

from collections.abc import Mapping, Sequence
from typing import Any

from domain.auth import Caller
from domain.keys import KeyPosition, ManagedKey, NewKey
from domain.ports import ManagedKeys
from domain.tenant import TenantLimits


class ApiKeyService:
    """Manages the keys of a tenant. defaults: of a tenant without limits of its own."""

    def __init__(self, keys: ManagedKeys, defaults: TenantLimits) -> None:
        self._keys = keys
        self._defaults = defaults

    async def add(self, caller: Caller, name: str, given: Mapping[str, Any]) -> tuple[ManagedKey, NewKey]:
        """Make a key. What is not given is as of the caller's own.

        Raises KeyExceedsOwn, InvalidInput, TooManyApiKeys.
        """
        limits = self._defaults.with_overrides(caller.tenant_limits)
        return await self._keys.add_key(caller, name, given, max_keys=limits.max_api_keys)

    async def get(self, caller: Caller, key_id: str) -> ManagedKey:
        """Raises ApiKeyNotFound."""
        return await self._keys.get_key(caller.tenant_id, key_id)

    async def list(self, caller: Caller, *, after: KeyPosition | None, limit: int) -> Sequence[ManagedKey]:
        """Return the keys, newest first."""
        return await self._keys.list_keys(caller.tenant_id, after=after, limit=limit)

    async def change(self, caller: Caller, key_id: str, given: Mapping[str, Any]) -> ManagedKey:
        """Raises ApiKeyNotFound, ApiKeyEnded, KeyExceedsOwn, InvalidInput."""
        return await self._keys.change_key(caller, key_id, given)

    async def revoke(self, caller: Caller, key_id: str) -> None:
        """Revoke a key from the next request on. Raises ApiKeyNotFound."""
        await self._keys.revoke_own_key(caller, key_id)
