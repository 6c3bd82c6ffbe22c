"""Callers whose keys make others, and what they make."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from adapters.database.managed_keys import PostgresManagedKeys
from adapters.database.tenants import PostgresTenants
from domain.auth import Caller, Scope
from domain.keys import ManagedKey
from domain.tenant import KEY_LIMITS

READ = frozenset({Scope.READ_GENERATIONS})
MANY = 1000


async def admin_of(tenants: PostgresTenants, tenant_id: str | None = None, **caps: Any) -> Caller:
    """Return the caller of a new key with every scope, of a new tenant if none is named."""
    tenant_id = tenant_id or await tenants.create("Acme")
    made = await tenants.create_key(tenant_id, tuple(Scope), **caps)
    return await tenants.authenticate(made.api_key)


async def made(
    keys: PostgresManagedKeys, caller: Caller, given: Mapping[str, Any] | None = None
) -> tuple[ManagedKey, str]:
    key, new = await keys.add_key(caller, "a child", given or {"scopes": READ}, max_keys=MANY)
    return key, new.api_key


async def narrow(tenants: PostgresTenants, tenant_id: str | None = None) -> Caller:
    """Return a caller that may read, make keys, and not much of either."""
    tenant_id = tenant_id or await tenants.create("Acme")
    new = await tenants.create_key(
        tenant_id,
        [Scope.READ_GENERATIONS, Scope.WRITE_KEYS],
        lifetime=timedelta(days=1),
        limits=dict.fromkeys(KEY_LIMITS, 10.0),
        monthly_budget_credits=10,
        max_held_credits=10,
    )
    return await tenants.authenticate(new.api_key)
