"""Payments, read by their reference: what became of a top-up and of its refunds."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import bindparam, select
from sqlmodel import col

from adapters.database.engine import Database
from adapters.database.tables import PaymentRow, TakeBackRow
from domain.lots import TakeBack, TakeBackState
from domain.payments import PaymentRecord

_MAX_TAKE_BACKS = 100
_PAYMENT = (
    select(PaymentRow, TakeBackRow)
    .outerjoin(TakeBackRow, col(TakeBackRow.payment_reference) == col(PaymentRow.reference))
    .where(col(PaymentRow.reference) == bindparam("reference"))
    .order_by(col(TakeBackRow.created_at), col(TakeBackRow.reference))
    .limit(_MAX_TAKE_BACKS)
)


class PostgresPayments:
    """Reads only: lots and take-backs are written by their own functions."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def look_up_payment(self, reference: str) -> PaymentRecord | None:
        """Return a payment with its take-backs, the oldest first; of more than 100 the first."""
        async with self._database.begin() as session:
            rows: Sequence[Any] = (await session.execute(_PAYMENT, {"reference": reference})).all()
        if not rows:
            return None
        payment: PaymentRow = rows[0][0]
        return PaymentRecord(
            payment.reference,
            payment.tenant_id,
            payment.lot_id,
            tuple(_take_back(row, payment) for _, row in rows if row is not None),
        )


def _take_back(row: TakeBackRow, payment: PaymentRow) -> TakeBack:
    is_applied = row.applied_credits is not None
    return TakeBack(
        payment_reference=row.payment_reference,
        reference=row.reference,
        tenant_id=payment.tenant_id,
        amount_credits=row.amount_credits,
        applied_credits=row.applied_credits,
        state=TakeBackState.APPLIED if is_applied else TakeBackState.PENDING,
        is_new=False,
    )
