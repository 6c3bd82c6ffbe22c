"""What billing systems ask about: payments, and whether a tenant is there to be granted anything."""

from typing import Protocol

from domain.payments import PaymentRecord


class Payments(Protocol):
    """Reads payments by the reference that is theirs in all of the service."""

    async def find_payment(self, reference: str) -> PaymentRecord | None: ...

    async def require_tenant(self, tenant_id: str) -> None:
        """Raises TenantNotFound for one that is not there, or is erased."""
        ...
