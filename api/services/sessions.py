"""Who a key is and what is left of its tenant's limits."""

from domain.auth import Caller, Scope
from domain.ports import ApiKeys, CreditAccounts, TenantUsages
from domain.session import Session
from domain.tenant import TenantLimits


class Sessions:
    """Reads what a client may know of its key. defaults: of a tenant without limits of its own."""

    def __init__(
        self, keys: ApiKeys, usages: TenantUsages, credits: CreditAccounts, defaults: TenantLimits
    ) -> None:
        self._keys = keys
        self._usages = usages
        self._credits = credits
        self._defaults = defaults

    async def describe(self, caller: Caller) -> Session:
        """Raises Unauthenticated for a key that is gone."""
        limits = self._defaults.with_overrides(caller.tenant_limits)
        tenant_id, may_read_credits = caller.tenant_id, Scope.READ_CREDITS in caller.scopes
        return Session(
            key=await self._keys.read_key(caller.key_id),
            limits=limits,
            usage=await self._usages.read_usage(tenant_id, max_generations=limits.max_open_generations),
            files=await self._usages.read_file_usage(tenant_id, max_files=limits.max_files),
            balance=await self._credits.balance(tenant_id) if may_read_credits else None,
        )
