"""What billing systems ask about: payments, by the reference that is theirs in all of the service."""

from typing import Protocol

from domain.payments import PaymentRecord


class Payments(Protocol):
    """Reads payments, also those that nothing was granted for yet."""

    async def look_up_payment(self, reference: str) -> PaymentRecord | None: ...
