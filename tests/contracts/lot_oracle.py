"""What should become of every credit, worked out one by one, without the database and its formulas.

Time is in whole hours since the history began.
"""

from dataclasses import dataclass, field

# Where a credit is. One that is held is at its generation's id.
REMAINING = "remaining"
SPENT = "spent"
GONE = ("expired", "voided", "withdrawn")
NEVER = 10**9


@dataclass
class OracleLot:
    """One lot.

    Attributes:
        starts: None for at once.
        ends: None for never.
        places: Where each of its credits is.
        claimed: How many of them take-backs have asked for.
        excused: Of these, how many had gone back by themselves.
    """

    reference: str
    is_paid: bool
    priority: int
    starts: int | None
    ends: int | None
    number: int
    places: list[str]
    owed: int = 0
    excused: int = 0
    is_voided: bool = False
    is_expired: bool = False
    claimed: int = 0

    @property
    def order(self) -> tuple[int, int, bool, int]:
        return (self.priority, NEVER if self.ends is None else self.ends, self.is_paid, self.number)

    def count(self, place: str) -> int:
        return self.places.count(place)

    def move(self, source: str, target: str, credits: int) -> int:
        """Move at most so many credits; return how many there were."""
        found = [index for index, place in enumerate(self.places) if place == source][:credits]
        for index in found:
            self.places[index] = target
        return len(found)

    def is_spendable(self, now: int) -> bool:
        return (self.starts is None or self.starts <= now) and (self.ends is None or self.ends > now)

    @property
    def held(self) -> int:
        return sum(place.startswith("gen_") for place in self.places)


@dataclass
class OracleKey:
    """An API key's caps, None for none, and what it was charged."""

    budget: int | None
    max_held: int | None
    charged: int = 0


@dataclass
class Oracle:
    """All of one tenant.

    Attributes:
        holders: Which key made a generation, by its id.
        pending: Take-backs of each payment that was not granted: reference and amount, None for all of it.
        applied: What each take-back came to, by payment and reference.
    """

    now: int = 0
    lots: list[OracleLot] = field(default_factory=list)
    keys: dict[str, OracleKey] = field(default_factory=dict)
    holders: dict[str, str] = field(default_factory=dict)
    pending: dict[str, list[tuple[str, int | None]]] = field(default_factory=dict)
    applied: dict[tuple[str, str], int] = field(default_factory=dict)

    def lot(self, reference: str) -> OracleLot | None:
        return next((lot for lot in self.lots if lot.reference == reference), None)

    def in_order(self) -> list[OracleLot]:
        return sorted((lot for lot in self.lots if lot.is_spendable(self.now)), key=lambda lot: lot.order)

    @property
    def available(self) -> int:
        return sum(lot.count(REMAINING) for lot in self.in_order())

    @property
    def upcoming(self) -> int:
        return sum(
            lot.count(REMAINING) for lot in self.lots if lot.starts is not None and lot.starts > self.now
        )

    @property
    def next_expiry(self) -> tuple[int, int] | None:
        """Return when credits are gone next, and how many."""
        remaining: dict[int, int] = {}
        for lot in self.lots:
            if lot.ends is not None and lot.ends > self.now and lot.count(REMAINING):
                remaining[lot.ends] = remaining.get(lot.ends, 0) + lot.count(REMAINING)
        return min(remaining.items()) if remaining else None

    @property
    def owed(self) -> int:
        return sum(lot.owed for lot in self.lots)

    def grant(self, lot: OracleLot) -> None:
        self.lots.append(lot)
        for reference, amount in self.pending.pop(lot.reference, []):
            self._apply(lot, reference, amount)
        # What remains of it pays what is owed: what has been owed for longest first.
        for owing in self.lots:
            paid = lot.move(REMAINING, "repaid", owing.owed)
            owing.owed -= paid

    def take_back(self, payment: str, reference: str, amount: int | None) -> None:
        lot = self.lot(payment)
        if lot is None:
            self.pending.setdefault(payment, []).append((reference, amount))
        else:
            self._apply(lot, reference, amount)

    def unclaimed(self, lot: OracleLot) -> int:
        return len(lot.places) - lot.claimed

    def _apply(self, lot: OracleLot, reference: str, amount: int | None) -> None:
        """Claim each: one that remains; else one that had gone back by itself; else it is owed."""
        applied = self.unclaimed(lot) if amount is None else min(amount, self.unclaimed(lot))
        lot.claimed += applied
        self.applied[lot.reference, reference] = applied
        missing = applied - lot.move(REMAINING, "taken_back", applied)
        excusable = sum(lot.count(place) for place in GONE) - lot.excused
        excused = min(missing, excusable)
        lot.excused += excused
        lot.owed += missing - excused

    def refusal(self, price: int, key: str | None) -> str | None:
        if self.available < price:
            return "insufficient_credits"
        if key is None:
            return None
        caps, held = self.keys[key], self.held_by(key)
        if caps.budget is not None and caps.charged + held + price > caps.budget:
            return "key_budget_exceeded"
        if caps.max_held is not None and held + price > caps.max_held:
            return "too_many_held_credits"
        return None

    def held_by(self, key: str) -> int:
        places = (place for lot in self.lots for place in lot.places)
        return sum(self.holders.get(place) == key for place in places)

    def take(self, credits: int, target: str) -> None:
        for lot in self.in_order():
            credits -= lot.move(REMAINING, target, credits)
        assert credits == 0

    def hold(self, generation: str, price: int, key: str | None) -> None:
        if key is not None:
            self.holders[generation] = key
        self.take(price, generation)

    def resolve(self, generation: str, charged: int) -> None:
        """Spend of the lots that are spent first, then return each other credit to its own lot."""
        if generation in self.holders:
            self.keys[self.holders[generation]].charged += charged
        for lot in sorted(self.lots, key=lambda lot: lot.order):
            charged -= lot.move(generation, SPENT, charged)
            for _ in range(lot.count(generation)):
                lot.move(generation, self._way_back(lot), 1)
        assert charged == 0

    def _way_back(self, lot: OracleLot) -> str:
        """Return where the next credit goes that a hold returns to a lot."""
        if lot.owed:
            lot.owed -= 1
            return "repaid"
        if lot.is_voided:
            return "voided"
        if lot.is_expired or (lot.ends is not None and lot.ends <= self.now):
            return "expired"
        return REMAINING

    def void(self, lot: OracleLot) -> None:
        lot.move(REMAINING, "voided", len(lot.places))
        lot.is_voided = True

    def expire(self, lot: OracleLot) -> None:
        if not lot.is_voided:
            lot.move(REMAINING, "expired", len(lot.places))
            lot.is_expired = True

    def sweep(self) -> None:
        for lot in self.lots:
            if lot.ends is not None and lot.ends <= self.now:
                self.expire(lot)
