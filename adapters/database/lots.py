"""Lots on PostgreSQL: the functions of functions/grants.sql and lots.sql, called by name.

Locks, amounts and what a repeat returns are written there. The audit trail is part of the same transaction.
"""

from collections.abc import Sequence
from typing import Any, NoReturn

from sqlalchemy import Row, Select, bindparam, literal_column, select, text, tuple_
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from adapters.database.audit import record
from adapters.database.engine import Database
from adapters.database.tables import CreditThresholdRow, LotRow, PaymentRow
from domain.audit import Actor, AuditAction
from domain.errors import InvalidInput, LotNotFound, ReferenceReused, TakeBackTooLarge, TenantNotFound
from domain.lots import (
    MAX_GRANT_CREDITS,
    MAX_PRIORITY,
    MAX_REFERENCE_CHARACTERS,
    MAX_THRESHOLDS,
    Grant,
    Granted,
    Lot,
    LotCategory,
    LotStatus,
    TakeBack,
    TakeBackState,
    Threshold,
)

# Also of what the sweep has not come to yet. A lot whose credits are gone was used up before it was over.
_STATUS = """CASE
    WHEN {0}voided_at IS NOT NULL THEN 'voided'
    WHEN {0}expired_at IS NOT NULL THEN 'expired'
    WHEN {0}remaining_credits + {0}held_credits = 0 THEN
        CASE WHEN {0}taken_back_credits + {0}owed_credits > 0 THEN 'taken_back' ELSE 'used_up' END
    WHEN {0}expires_at <= clock_timestamp() THEN 'expired'
    WHEN {0}effective_at > clock_timestamp() THEN 'upcoming'
    ELSE 'open'
END"""
_GRANT = text(f"""
SELECT state, (lot).*, {_STATUS.format("(lot).")} AS status FROM grant_credits(
    :tenant, :reference, :credits, :category, :priority, CAST(:effective_at AS timestamptz),
    CAST(:expires_at AS timestamptz), CAST(:is_payment AS boolean)
)
""")  # noqa: S608 - a constant
_TAKE_BACK = text(
    "SELECT * FROM take_back_credits(:tenant, :payment, :reference, CAST(:credits AS bigint)) AS taken"
)
_LEFT = text("""
SELECT p.granted_credits, p.granted_credits - coalesce(
    (SELECT sum(t.applied_credits) FROM take_backs AS t WHERE t.payment_reference = p.reference), 0
) AS left_credits
FROM payments AS p WHERE p.reference = :payment
""")
_LOCK = text("SELECT lock_accounts(tenant_id) FROM lots WHERE id = :lot")
_END = text("SELECT end_lot(:lot, :kind)")
_SWEEP = text("SELECT sweep_lots(:limit) AS lots")
_SET_THRESHOLDS = text("SELECT set_thresholds(:tenant, CAST(:thresholds AS bigint[]))")
_LOTS: Select[*tuple[LotRow, str]] = select(LotRow, literal_column(_STATUS.format("lots.")).label("status"))
_LOT = _LOTS.where(col(LotRow.id) == bindparam("lot"))
_PAID_FOR = _LOTS.join(PaymentRow, col(PaymentRow.lot_id) == col(LotRow.id)).where(
    col(PaymentRow.reference) == bindparam("reference")
)
_THRESHOLDS = (
    select(col(CreditThresholdRow.threshold_credits), col(CreditThresholdRow.told_at))
    .where(col(CreditThresholdRow.tenant_id) == bindparam("tenant"))
    .order_by(col(CreditThresholdRow.threshold_credits).desc())
)


class PostgresLots:
    """Grants, take-backs and ends of lots, each safe to repeat and to race with any other."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def grant(self, grant: Grant, *, by: Actor) -> Granted:
        _check_reference("reference", grant.reference)
        _check_range("amount", grant.amount_credits, 1, MAX_GRANT_CREDITS)
        _check_range("priority", grant.priority, 0, MAX_PRIORITY)
        async with self._database.begin() as session:
            found = await session.execute(_GRANT, _values(grant))
            row = found.one()
            if row.state not in ("granted", "repeated"):
                _refuse(row.state, row.granted_credits)
            if row.state == "granted":
                await _record_grant(session, grant, row.id, by)
            return Granted(_to_lot(row, row.status), row.state == "granted")

    async def take_back(
        self,
        tenant_id: str,
        payment_reference: str,
        reference: str,
        amount_credits: int | None,
        *,
        by: Actor,
    ) -> TakeBack:
        _check_reference("payment_reference", payment_reference)
        _check_reference("reference", reference)
        if amount_credits is not None:
            _check_range("amount", amount_credits, 1, MAX_GRANT_CREDITS)
        values = {
            "tenant": tenant_id,
            "payment": payment_reference,
            "reference": reference,
            "credits": amount_credits,
        }
        async with self._database.begin() as session:
            row = (await session.execute(_TAKE_BACK, values)).one()
            if row.state == "too_much":
                raise await _too_much(session, payment_reference)
            if row.state not in ("applied", "pending", "repeated"):
                _refuse(row.state, row.amount_credits)
            if row.state != "repeated":
                details = {"payment_reference": payment_reference, "reference": reference}
                amounts = {"amount_credits": amount_credits, "applied_credits": row.applied_credits}
                await record(
                    session, by, AuditAction.TAKE_BACK_CREDITS, tenant_id, tenant_id, **details, **amounts
                )
        is_pending = row.applied_credits is None
        return TakeBack(
            payment_reference,
            reference,
            tenant_id,
            row.amount_credits,
            row.applied_credits,
            TakeBackState.PENDING if is_pending else TakeBackState.APPLIED,
            row.state != "repeated",
        )

    async def expire(self, lot_id: str, *, by: Actor) -> Lot:
        return await self._end(lot_id, "expire_lot", AuditAction.EXPIRE_LOT, by)

    async def void(self, lot_id: str, *, by: Actor) -> Lot:
        return await self._end(lot_id, "void_lot", AuditAction.VOID_LOT, by)

    async def get_lot(self, tenant_id: str, lot_id: str) -> Lot:
        async with self._database.each() as session:
            found = (await session.execute(_LOT, {"lot": lot_id})).one_or_none()
        if found is None or found.LotRow.tenant_id != tenant_id:
            raise LotNotFound
        return _to_lot(*found)

    async def find_payment(self, reference: str) -> Lot | None:
        async with self._database.each() as session:
            found = (await session.execute(_PAID_FOR, {"reference": reference})).one_or_none()
        return _to_lot(*found) if found is not None else None

    async def list_lots(
        self, tenant_id: str, *, after: str | None, limit: int, open_only: bool
    ) -> Sequence[Lot]:
        query = (
            _LOTS.where(col(LotRow.tenant_id) == tenant_id)
            .order_by(col(LotRow.created_at).desc(), col(LotRow.id).desc())
            .limit(limit)
        )
        if open_only:
            query = query.where(col(LotRow.closed_at).is_(None))
        if after is not None:
            last = await self.get_lot(tenant_id, after)
            query = query.where(
                tuple_(col(LotRow.created_at), col(LotRow.id)) < tuple_(last.created_at, last.id)
            )
        async with self._database.each() as session:
            return [_to_lot(*found) for found in await session.execute(query)]

    async def expire_due(self, limit: int) -> int:
        [row] = await self._database.call(_SWEEP, {"limit": limit})
        return int(row.lots)

    async def set_thresholds(self, tenant_id: str, thresholds: Sequence[int], *, by: Actor) -> None:
        if len(thresholds) > MAX_THRESHOLDS:
            raise InvalidInput(errors=(("thresholds", f"at most {MAX_THRESHOLDS}"),))
        for threshold in thresholds:
            _check_range("thresholds", threshold, 1, MAX_GRANT_CREDITS)
        wanted = sorted(set(thresholds), reverse=True)
        async with self._database.begin() as session:
            if not await session.scalar(_SET_THRESHOLDS, {"tenant": tenant_id, "thresholds": wanted}):
                raise TenantNotFound
            await record(session, by, AuditAction.SET_THRESHOLDS, tenant_id, tenant_id, thresholds=wanted)

    async def list_thresholds(self, tenant_id: str) -> Sequence[Threshold]:
        rows = await self._database.call(_THRESHOLDS, {"tenant": tenant_id})
        return [Threshold(row.threshold_credits, row.told_at) for row in rows]

    async def _end(self, lot_id: str, kind: str, action: AuditAction, by: Actor) -> Lot:
        async with self._database.begin() as session:
            await session.execute(_LOCK, {"lot": lot_id})
            found = (await session.execute(_LOT, {"lot": lot_id})).one_or_none()
            if found is None:
                raise LotNotFound
            before: LotRow = found.LotRow
            was_over = before.voided_at or (before.expired_at if kind == "expire_lot" else None)
            credits = await session.scalar(_END, {"lot": lot_id, "kind": kind})
            if was_over is None:
                await record(session, by, action, lot_id, before.tenant_id, amount_credits=credits)
            ended = await session.execute(_LOT.execution_options(populate_existing=True), {"lot": lot_id})
            return _to_lot(*ended.one())


async def _record_grant(session: AsyncSession, grant: Grant, lot_id: str, by: Actor) -> None:
    details: dict[str, Any] = {
        "amount_credits": grant.amount_credits,
        "reference": grant.reference,
        "lot_id": lot_id,
        "category": grant.category,
        "expires_at": grant.expires_at.isoformat() if grant.expires_at else None,
    }
    await record(session, by, AuditAction.GRANT_CREDITS, grant.tenant_id, grant.tenant_id, **details)


async def _too_much(session: AsyncSession, payment_reference: str) -> TakeBackTooLarge:
    row = (await session.execute(_LEFT, {"payment": payment_reference})).one()
    return TakeBackTooLarge(
        f"amount: at most {row.left_credits}, which is what is not taken back yet of the "
        f"{row.granted_credits} credits of this payment"
    )


def _refuse(state: str, earlier_credits: int | None) -> NoReturn:
    """Raise what a state of a grant or take-back stands for; the transaction is rolled back."""
    if state == "no_tenant":
        raise TenantNotFound
    if state == "over":
        raise InvalidInput(errors=(("expires_at", "later than now, and than effective_at"),))
    if state == "other_tenant":
        raise ReferenceReused("the payment is one of another tenant")
    shown = "all of the payment" if earlier_credits is None else f"{earlier_credits} credits"
    raise ReferenceReused(f"the reference was used for {shown}, or on other terms")


def _check_reference(name: str, reference: str) -> None:
    if not 1 <= len(reference) <= MAX_REFERENCE_CHARACTERS or not reference.isprintable():
        raise InvalidInput(errors=((name, f"1 to {MAX_REFERENCE_CHARACTERS} printable characters"),))


def _check_range(name: str, value: int, smallest: int, largest: int) -> None:
    if not smallest <= value <= largest:
        raise InvalidInput(errors=((name, f"{smallest} to {largest}"),))


def _values(grant: Grant) -> dict[str, Any]:
    return {
        "tenant": grant.tenant_id,
        "reference": grant.reference,
        "credits": grant.amount_credits,
        "category": grant.category,
        "priority": grant.priority,
        "effective_at": grant.effective_at,
        "expires_at": grant.expires_at,
        "is_payment": grant.is_payment,
    }


def _to_lot(row: LotRow | Row[Any], status: str) -> Lot:
    return Lot(
        id=row.id,
        tenant_id=row.tenant_id,
        reference=row.reference,
        category=LotCategory(row.category),
        priority=row.priority,
        granted=row.granted_credits,
        remaining=row.remaining_credits,
        held=row.held_credits,
        spent=row.spent_credits,
        expired=row.expired_credits,
        voided=row.voided_credits,
        withdrawn=row.withdrawn_credits,
        taken_back=row.taken_back_credits,
        repaid=row.repaid_credits,
        owed=row.owed_credits,
        effective_at=row.effective_at,
        expires_at=row.expires_at,
        created_at=row.created_at,
        status=LotStatus(status),
        expired_at=row.expired_at,
        voided_at=row.voided_at,
        closed_at=row.closed_at,
    )
