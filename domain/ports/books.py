"""What a tenant reads of its books: statements of months, and usage."""

from collections.abc import Sequence
from datetime import date
from typing import Protocol

from domain.statements import MonthLine, Statement, UsageLine, UsageQuery


class Books(Protocol):
    """Sums of a tenant's movements, each read in one statement, and so of one moment."""

    async def read_statement(self, tenant_id: str, month: date) -> Statement:
        """Return the statement of a month; of one before the tenant was there, an empty one.

        Raises TenantNotFound, InvalidInput for a month that has not begun.
        """
        ...

    async def list_months(self, tenant_id: str, *, before: date | None, limit: int) -> Sequence[MonthLine]:
        """Return the months since the tenant is there, up to this one, the newest first.

        Raises TenantNotFound.
        """
        ...

    async def list_usage(
        self, tenant_id: str, wanted: UsageQuery, *, after: UsageLine | None, limit: int
    ) -> Sequence[UsageLine]:
        """Return what was charged, by groups in their order; without groups, one sum."""
        ...
