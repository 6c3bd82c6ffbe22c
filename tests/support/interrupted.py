"""Ports of the database that are away when a test says so."""

from collections.abc import Sequence

from adapters.database.attempts import PostgresAttempts
from adapters.database.engine import Database
from adapters.database.ledger import PostgresLedger
from domain.credits import Completion, Refund, Reservation
from domain.errors import DatabaseUnavailable
from domain.generation import Image, Outcome, TerminalState, Undelivered
from domain.ports import SubmitPermit
from domain.progress import PollReport
from domain.provider import AttemptRef, ProviderJob, SubmitResult


class InterruptedLedger(PostgresLedger):
    """A ledger that is away for the generations in `away`, as in a database outage."""

    def __init__(self, database: Database) -> None:
        super().__init__(database)
        self.away: set[str] = set()
        self.calls: list[tuple[str, str]] = []

    async def reserve(self, generation_id: str, tenant_id: str = "") -> Reservation:
        self._count("reserve", generation_id)
        return await super().reserve(generation_id, tenant_id)

    async def complete(
        self,
        generation_id: str,
        images: Sequence[Image],
        undelivered: Sequence[Undelivered] = (),
        tenant_id: str = "",
    ) -> Completion:
        self._count("complete", generation_id)
        return await super().complete(generation_id, images, undelivered, tenant_id)

    async def settle(self, generation_id: str) -> Outcome:
        self._count("settle", generation_id)
        return await super().settle(generation_id)

    async def refund(self, generation_id: str, terminal_state: TerminalState) -> Refund:
        self._count("refund", generation_id)
        return await super().refund(generation_id, terminal_state)

    def _count(self, step: str, generation_id: str) -> None:
        self.calls.append((step, generation_id))
        if generation_id in self.away:
            raise DatabaseUnavailable


class InterruptedAttempts(PostgresAttempts):
    """Attempts whose next acceptances cannot be recorded, as in a failover of the database.

    permits: how many submits were permitted, by attempt. unpolled: generations none of whose polls can be
    recorded.
    """

    def __init__(self, database: Database) -> None:
        super().__init__(database)
        self.lost: dict[str, int] = {}
        self.permits: dict[AttemptRef, int] = {}
        self.unpolled: set[str] = set()

    async def begin_submit(self, attempt: AttemptRef) -> SubmitPermit:
        permit = await super().begin_submit(attempt)
        if permit.request is not None:
            self.permits[attempt] = self.permits.get(attempt, 0) + 1
        return permit

    async def record_accepted(self, attempt: AttemptRef, job: ProviderJob) -> SubmitResult:
        if self.lost.get(attempt.generation_id, 0) > 0:
            self.lost[attempt.generation_id] -= 1
            raise DatabaseUnavailable
        return await super().record_accepted(attempt, job)

    async def record_poll(self, attempt: AttemptRef, report: PollReport) -> None:
        if attempt.generation_id in self.unpolled:
            raise DatabaseUnavailable
        await super().record_poll(attempt, report)
