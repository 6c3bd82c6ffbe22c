"""Lots: granted by operators and billing systems, spent by the ledger, swept by the reconciler."""

from collections.abc import Sequence
from typing import Protocol

from domain.audit import Actor
from domain.lots import Grant, Granted, Lot, TakeBack, Threshold


class Lots(Protocol):
    """A tenant's credits by where they came from. Changes are safe to repeat and to race with any other."""

    async def grant(self, grant: Grant, *, by: Actor) -> Granted:
        """Make a lot, once per reference; it pays what is owed first.

        Raises TenantNotFound, also for one that is erased; ReferenceReused; InvalidInput.
        """
        ...

    async def take_back(
        self,
        tenant_id: str,
        payment_reference: str,
        reference: str,
        amount_credits: int | None,
        *,
        by: Actor,
    ) -> TakeBack:
        """Take back what was granted for a payment, once per `reference`; before the grant, note it.

        What was spent, or is held, is owed. amount_credits: None for all of the payment. Raises
        TenantNotFound, ReferenceReused, TakeBackTooLarge, InvalidInput.
        """
        ...

    async def expire(self, lot_id: str, *, by: Actor) -> Lot:
        """Take away what remains of a lot, as at its expiry. Raises LotNotFound."""
        ...

    async def void(self, lot_id: str, *, by: Actor) -> Lot:
        """Take away what remains of a lot that should not have been. Raises LotNotFound."""
        ...

    async def get_lot(self, tenant_id: str, lot_id: str) -> Lot:
        """Raises LotNotFound."""
        ...

    async def find_payment(self, reference: str) -> Lot | None:
        """Return what was granted for a payment, of whatever tenant."""
        ...

    async def list_lots(
        self, tenant_id: str, *, after: str | None, limit: int, open_only: bool
    ) -> Sequence[Lot]:
        """Return lots, the newest first. after: the id of the last that is known. Raises LotNotFound."""
        ...

    async def expire_due(self, limit: int) -> int:
        """Take away what has expired, and notice what is effective now; return how many lots that were."""
        ...

    async def set_thresholds(self, tenant_id: str, thresholds: Sequence[int], *, by: Actor) -> None:
        """Replace the balances below which the tenant is told. Raises TenantNotFound, InvalidInput."""
        ...

    async def list_thresholds(self, tenant_id: str) -> Sequence[Threshold]:
        """Return them, the highest first."""
        ...
