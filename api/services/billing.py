"""What operators' systems do to tenants' credits, and read to check what they did."""

from collections.abc import Sequence
from dataclasses import dataclass

from api.services.key_guard import KeyGuard
from api.services.operator_rates import OperatorRateLimiter
from domain.credits import Balance
from domain.errors import InvalidInput, LotNotFound
from domain.lots import Grant, Granted, Lot, TakeBack
from domain.operators import Operator
from domain.payments import Payment
from domain.ports import CreditAccounts, Lots, Payments


@dataclass(frozen=True)
class TenantCredits:
    """A tenant's balance, and a page of its lots, newest first. next_after: where the next page begins."""

    balance: Balance
    lots: Sequence[Lot]
    next_after: str | None


class BillingService:
    """Grants and takes back in an operator's name. Each call may be repeated, and none comes too early."""

    def __init__(self, lots: Lots, payments: Payments, credits: CreditAccounts) -> None:
        self._lots = lots
        self._payments = payments
        self._credits = credits

    async def grant_payment(self, operator: Operator, grant: Grant) -> Granted:
        """Grant what was paid for, once per payment. A suspended tenant is granted it too.

        Raises TenantNotFound, ReferenceReused, InvalidInput.
        """
        return await self._lots.grant(grant, by=operator.actor)

    async def take_back_payment(
        self, operator: Operator, tenant_id: str, payment: str, reference: str, amount_credits: int | None
    ) -> TakeBack:
        """Take back what was refunded of a payment; None for all of it.

        Raises TenantNotFound, ReferenceReused, TakeBackTooLarge.
        """
        return await self._lots.take_back(tenant_id, payment, reference, amount_credits, by=operator.actor)

    async def read_credits(
        self, tenant_id: str, *, after: str | None, limit: int, open_only: bool
    ) -> TenantCredits:
        """Raises TenantNotFound, InvalidInput."""
        balance = await self._credits.balance(tenant_id)
        try:
            found = await self._lots.list_lots(tenant_id, after=after, limit=limit + 1, open_only=open_only)
        except LotNotFound:
            raise InvalidInput(errors=(("cursor", "take it from next_cursor of the page before"),)) from None
        page = found[:limit]
        return TenantCredits(balance, page, page[-1].id if len(found) > limit else None)

    async def read_payment(self, reference: str) -> Payment:
        """Raises LotNotFound for a payment of which nothing is known."""
        record = await self._payments.look_up_payment(reference)
        if record is None:
            raise LotNotFound
        lot = await self._lots.get_lot(record.tenant_id, record.lot_id) if record.lot_id is not None else None
        return Payment(record.reference, record.tenant_id, lot, record.take_backs)


@dataclass(frozen=True)
class OperatorServices:
    """What is behind operators' routes, and lets in whom they are for."""

    guard: KeyGuard[Operator]
    rates: OperatorRateLimiter
    billing: BillingService
