"""Two-phase credits in double entry: the functions of functions/ledger.sql, called by name.

Each call is one round trip and one transaction. Locks, amounts and what a repeat returns are written there.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from sqlalchemy import Executable, Row, bindparam, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import AsyncSession

from adapters.database.engine import Database
from adapters.database.tables.mapping import to_outcome, undelivered_to_json
from domain.credits import AccountKind, Completion, HoldState, Refund, Reservation, TransferKind
from domain.errors import GenerationNotFound, ResultUnusable
from domain.generation import Image, Outcome, TerminalState, Undelivered

_RESERVE = text("SELECT * FROM reserve_credits(:generation)")
_SETTLE = text("SELECT * FROM settle_credits(:generation)")
_FINISH = text("SELECT * FROM finish_storing(:generation, :images, :undelivered)").bindparams(
    bindparam("images", type_=JSONB), bindparam("undelivered", type_=JSONB)
)
_REFUND = text("""
    SELECT * FROM refund_credits(:generation, :status, :code, :attention, :error_stage, :unless_submitted)
""")
_END_LOST = text("""
    SELECT * FROM end_lost_generation(:generation, :status, :code, :attention, :error_stage)
""")
_MOVE = text("SELECT move_credits(:transfer, :tenant, :kind, NULL, :amount, :accounts, :changes)")


class PostgresLedger:
    """Holds, charges and refunds, each safe to repeat and to race with any other."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def reserve(self, generation_id: str) -> Reservation:
        row = await self._call(_RESERVE, generation_id)
        outcome = to_outcome(generation_id, row) if row.status is not None else None
        return Reservation(HoldState(row.state), outcome, queued_seconds=row.queued_seconds)

    async def settle(self, generation_id: str) -> Outcome:
        """Raises ResultUnusable if nothing is stored: what is not delivered is not charged."""
        row = await self._call(_SETTLE, generation_id)
        if row.status is None:
            raise ResultUnusable("settle without a stored image")
        return to_outcome(generation_id, row)

    async def complete(
        self, generation_id: str, images: Sequence[Image], undelivered: Sequence[Undelivered] = ()
    ) -> Completion:
        row = await self._call(
            _FINISH,
            generation_id,
            images=[asdict(image) for image in images],
            undelivered=undelivered_to_json(undelivered),
        )
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
        if not rows:
            raise GenerationNotFound
        return rows[0]


def account_id(tenant_id: str, kind: AccountKind) -> str:
    return f"{tenant_id}:{kind}"


async def move(
    session: AsyncSession,
    transfer_id: str,
    tenant_id: str,
    kind: TransferKind,
    amount_credits: int,
    changes: Mapping[AccountKind, int],
) -> None:
    """Write a transfer that belongs to no generation, its entries and the new balances."""
    values = {
        "transfer": transfer_id,
        "tenant": tenant_id,
        "kind": kind,
        "amount": amount_credits,
        "accounts": list(changes),
        "changes": list(changes.values()),
    }
    await session.execute(_MOVE, values)


def _end(terminal_state: TerminalState) -> dict[str, Any]:
    return {
        "status": terminal_state.status,
        "code": terminal_state.code,
        "attention": terminal_state.attention,
        "error_stage": terminal_state.moderated_at,
    }
