"""Credits: held, charged and returned by workflows, read by clients, granted by operators."""

from collections.abc import Sequence
from typing import Protocol, TypeVar

from domain.audit import Actor
from domain.credits import Balance, Completion, Entry, Refund, Reservation
from domain.generation import Image, Outcome, TerminalState, Undelivered

Who = TypeVar("Who", covariant=True)


class Ledger(Protocol):
    """Double-entry credits. Each call is safe to repeat and to race with any other."""

    async def reserve(self, generation_id: str, tenant_id: str = "") -> Reservation:
        """Hold the price, or end the generation where that cannot be. Raises GenerationNotFound.

        tenant_id: Whose it is, if known: calls for one tenant that come at once go together.
        """
        ...

    async def complete(
        self,
        generation_id: str,
        images: Sequence[Image],
        undelivered: Sequence[Undelivered] = (),
        tenant_id: str = "",
    ) -> Completion:
        """Record the stored images, charge for them, return the rest, and complete the generation.

        All at once. Of two that store the same generation, the first counts. tenant_id: as for `reserve`.
        """
        ...

    async def settle(self, generation_id: str) -> Outcome:
        """Complete a generation whose images are recorded: the second half of a complete.

        For workflows that began in a version with two steps.
        """
        ...

    async def refund(self, generation_id: str, terminal_state: TerminalState) -> Refund:
        """Return the hold, if there is one, and end the generation in this state."""
        ...

    async def end_lost(self, generation_id: str, terminal_state: TerminalState) -> Outcome | None:
        """End a generation that no workflow continues; None if it has ended before.

        It is settled if its images are stored already: they are paid for and the client gets them.
        """
        ...


class CreditAccounts(Protocol):
    """A tenant's balances and entries."""

    async def withdraw(self, tenant_id: str, amount_credits: int, reference: str, *, by: Actor) -> Balance:
        """Take available credits back, once per reference.

        Raises TenantNotFound, InvalidInput, InsufficientCredits.
        """
        ...

    async def balance(self, tenant_id: str) -> Balance: ...

    async def list_entries(self, tenant_id: str, *, before: int | None, limit: int) -> Sequence[Entry]:
        """Return entries with ids below `before`, newest first."""
        ...


class Authenticator(Protocol[Who]):
    """Authenticates keys of one kind."""

    async def authenticate(self, api_key: str) -> Who:
        """Raises Unauthenticated for anything but a genuine key that is valid, TenantSuspended."""
        ...
