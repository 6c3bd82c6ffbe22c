"""Two-phase credits in double entry: the functions of functions/ledger.sql, called by name.

Locks, amounts and what a repeat returns are written there. Each call is one round trip and one transaction;
those for one tenant that come at once share it.
"""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from sqlalchemy import Executable, Row, bindparam, text
from sqlalchemy.dialects.postgresql import JSONB

from adapters.database.batches import Batches
from adapters.database.engine import Database
from adapters.database.tables.mapping import to_outcome, undelivered_to_json
from domain.credits import AccountKind, Completion, HoldState, Refund, Reservation
from domain.errors import GenerationNotFound, ResultUnusable
from domain.generation import Image, Outcome, TerminalState, Undelivered

_RESERVE = text("SELECT * FROM reserve_credits_of_all(:generations)")
_SETTLE = text("SELECT * FROM settle_credits(:generation)")
_FINISH = text("SELECT * FROM finish_storing_of_all(:finished)").bindparams(
    bindparam("finished", type_=JSONB)
)
_REFUND = text("""
    SELECT * FROM refund_credits(:generation, :status, :code, :attention, :error_stage, :unless_submitted)
""")
_END_LOST = text("""
    SELECT * FROM end_lost_generation(:generation, :status, :code, :attention, :error_stage)
""")


class PostgresLedger:
    """Holds, charges and refunds, each safe to repeat and to race with any other."""

    def __init__(self, database: Database) -> None:
        self._database = database
        # Those of a tenant lock the same accounts: together they wait for them once.
        self._reserving = Batches(self._reserve_all)
        self._finishing = Batches(self._finish_all)

    async def reserve(self, generation_id: str, tenant_id: str = "") -> Reservation:
        row = await self._reserving.call(tenant_id or generation_id, generation_id)
        if row is None:  # it is locked: waited for here, where it holds up no other
            [row] = await self._reserve_all([generation_id])
        row = _found(row)
        outcome = to_outcome(generation_id, row) if row.status is not None else None
        return Reservation(HoldState(row.state), outcome, queued_seconds=row.queued_seconds)

    async def settle(self, generation_id: str) -> Outcome:
        """Raises ResultUnusable if nothing is stored: what is not delivered is not charged."""
        row = await self._call(_SETTLE, generation_id)
        if row.status is None:
            raise ResultUnusable("settle without a stored image")
        return to_outcome(generation_id, row)

    async def complete(
        self,
        generation_id: str,
        images: Sequence[Image],
        undelivered: Sequence[Undelivered] = (),
        tenant_id: str = "",
    ) -> Completion:
        finished = {
            "generation": generation_id,
            "images": [asdict(image) for image in images],
            "undelivered": undelivered_to_json(undelivered),
        }
        row = await self._finishing.call(tenant_id or generation_id, finished)
        if row is None:
            [row] = await self._finish_all([finished])
        row = _found(row)
        return Completion(to_outcome(generation_id, row), row.keeps_images)

    async def refund(self, generation_id: str, terminal_state: TerminalState) -> Refund:
        values = _end(terminal_state) | {"unless_submitted": terminal_state.unless_submitted}
        row = await self._call(_REFUND, generation_id, **values)
        if row.status is None:
            return Refund(None, submitted=True)
        return Refund(to_outcome(generation_id, row))

    async def end_lost(self, generation_id: str, terminal_state: TerminalState) -> Outcome | None:
        row = await self._call(_END_LOST, generation_id, **_end(terminal_state))
        return to_outcome(generation_id, row) if row.status is not None else None

    async def _call(self, statement: Executable, generation_id: str, **values: Any) -> Row[Any]:
        rows = await self._database.call(statement, {"generation": generation_id, **values})
        return _found(rows[0] if rows else None)

    async def _reserve_all(self, generation_ids: Sequence[str]) -> list[Row[Any] | None]:
        rows = await self._database.call(_RESERVE, {"generations": list(generation_ids)})
        return _in_order(rows, generation_ids)

    async def _finish_all(self, finished: Sequence[dict[str, Any]]) -> list[Row[Any] | None]:
        rows = await self._database.call(_FINISH, {"finished": list(finished)})
        return _in_order(rows, [each["generation"] for each in finished])


def _in_order(rows: Sequence[Row[Any]], generation_ids: Sequence[str]) -> list[Row[Any] | None]:
    """Return the row of each generation, None for one that does not exist, or that others have locked."""
    by_id = {row.generation_id: row for row in rows}
    return [by_id.get(generation_id) for generation_id in generation_ids]


def _found(row: Row[Any] | None) -> Row[Any]:
    if row is None:
        raise GenerationNotFound
    return row


def account_id(tenant_id: str, kind: AccountKind) -> str:
    return f"{tenant_id}:{kind}"


def _end(terminal_state: TerminalState) -> dict[str, Any]:
    return {
        "status": terminal_state.status,
        "code": terminal_state.code,
        "attention": terminal_state.attention,
        "error_stage": terminal_state.moderated_at,
    }
