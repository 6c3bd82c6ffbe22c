"""What a tenant's credits are after a history of top-ups, refunds and spending, computed without a database.

All lots here have the same priority and no end, so the oldest is spent first.
"""

from collections import defaultdict
from dataclasses import dataclass, field


@dataclass
class Lot:
    """The credits of one payment."""

    granted: int
    remaining: int = 0
    held: int = 0
    spent: int = 0
    taken_back: int = 0
    repaid: int = 0
    owed: int = 0


@dataclass
class Refund:
    """A refund of a payment. amount: None for all of it. applied: None while pending."""

    amount: int | None
    applied: int | None = None


@dataclass
class Oracle:
    """A tenant. lots: by payment, the oldest first. refunds: by payment and their own reference."""

    lots: dict[str, Lot] = field(default_factory=dict)
    refunds: dict[str, dict[str, Refund]] = field(default_factory=lambda: defaultdict(dict))
    holds: dict[str, dict[str, int]] = field(default_factory=dict)

    def total(self, part: str) -> int:
        return sum(getattr(lot, part) for lot in self.lots.values())

    @property
    def balance(self) -> tuple[int, int, int, int]:
        """Return available, held, spent and owed credits."""
        return self.total("remaining"), self.total("held"), self.total("spent"), self.total("owed")

    def grant(self, payment: str, amount: int) -> int:
        """Return the status of the answer."""
        if payment in self.lots:
            return 200 if self.lots[payment].granted == amount else 409
        lot = self.lots[payment] = Lot(amount, remaining=amount)
        for refund in self.refunds[payment].values():
            self._apply(payment, refund)
        lot.repaid = min(lot.remaining, self.total("owed"))
        lot.remaining -= lot.repaid
        left = lot.repaid
        for owing in self.lots.values():
            paid = min(owing.owed, left)
            owing.owed -= paid
            left -= paid
        return 201

    def take_back(self, payment: str, reference: str, amount: int | None) -> int:
        """Return the status of the answer."""
        known = self.refunds[payment].get(reference)
        if known is not None:
            return 200 if known.amount == amount else 409
        lot = self.lots.get(payment)
        if lot is not None and amount is not None and amount > lot.granted - self._applied(payment):
            return 409
        refund = self.refunds[payment][reference] = Refund(amount)
        if lot is None:
            return 202
        self._apply(payment, refund)
        return 201

    def hold(self, job: str, price: int) -> bool:
        """Return whether there is enough."""
        if self.total("remaining") < price:
            return False
        parts = self.holds[job] = {}
        for payment, lot in self.lots.items():
            taken = min(lot.remaining, price)
            lot.remaining, lot.held, price = lot.remaining - taken, lot.held + taken, price - taken
            if taken:
                parts[payment] = taken
        return True

    def settle(self, job: str) -> None:
        for payment, credits in self.holds.pop(job).items():
            self.lots[payment].held -= credits
            self.lots[payment].spent += credits

    def release(self, job: str) -> None:
        """Return a hold to its lots; one that owes gets it back for that."""
        for payment, credits in self.holds.pop(job).items():
            lot = self.lots[payment]
            paid = min(lot.owed, credits)
            lot.held -= credits
            lot.owed -= paid
            lot.repaid += paid
            lot.remaining += credits - paid

    def _applied(self, payment: str) -> int:
        return sum(refund.applied or 0 for refund in self.refunds[payment].values())

    def _apply(self, payment: str, refund: Refund) -> None:
        lot = self.lots[payment]
        unclaimed = lot.granted - self._applied(payment)
        refund.applied = unclaimed if refund.amount is None else min(refund.amount, unclaimed)
        taken = min(lot.remaining, refund.applied)
        lot.remaining -= taken
        lot.taken_back += taken
        lot.owed += refund.applied - taken
