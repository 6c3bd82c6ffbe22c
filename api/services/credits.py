"""What a tenant reads of its money."""

import logging
from dataclasses import dataclass
from datetime import date

from api import metrics
from domain.ports import Books, CreditAccounts
from domain.statements import Statement

_log = logging.getLogger("darkroom")


@dataclass(frozen=True)
class CreditService:
    """A tenant's accounts and books."""

    accounts: CreditAccounts
    books: Books

    async def read_statement(self, tenant_id: str, month: date) -> Statement:
        """Return a statement; one that does not add up is shown as it is, and an operator is told.

        Raises InvalidInput for a month that has not begun.
        """
        statement = await self.books.read_statement(tenant_id, month)
        if not statement.adds_up:
            metrics.wrong_statements.inc()
            _log.error("the statement of %s for %s does not add up", tenant_id, month.strftime("%Y-%m"))
        return statement
