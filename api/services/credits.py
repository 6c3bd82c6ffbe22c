"""What a tenant reads of its money."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from api import metrics
from domain.errors import InvalidInput, LotNotFound
from domain.lots import Lot
from domain.ports import Books, CreditAccounts, Lots
from domain.statements import Statement

_log = logging.getLogger("darkroom")


@dataclass(frozen=True)
class CreditService:
    """A tenant's accounts, lots and books."""

    accounts: CreditAccounts
    lots: Lots
    books: Books

    async def list_lots(
        self, tenant_id: str, *, after: str | None, limit: int, open_only: bool
    ) -> Sequence[Lot]:
        """Raises InvalidInput for a cursor that names no lot of the tenant."""
        try:
            return await self.lots.list_lots(tenant_id, after=after, limit=limit, open_only=open_only)
        except LotNotFound:
            raise InvalidInput(errors=(("cursor", "take it from next_cursor of the page before"),)) from None

    async def read_statement(self, tenant_id: str, month: date) -> Statement:
        """Return a statement; one that does not add up is shown as it is, and an operator is told.

        Raises InvalidInput for a month that has not begun.
        """
        statement = await self.books.read_statement(tenant_id, month)
        if not statement.adds_up:
            metrics.wrong_statements.inc()
            _log.error("the statement of %s for %s does not add up", tenant_id, month.strftime("%Y-%m"))
        return statement
