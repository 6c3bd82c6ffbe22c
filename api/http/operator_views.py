"""Grants, take-backs and payments as billing systems read them."""

from dataclasses import asdict

from api.http.pagination import lot_cursor
from api.http.schemas.operators import GrantView, PaymentView, TakeBackView, TenantCreditsView
from api.services.billing import TenantCredits
from domain.lots import Lot, TakeBack
from domain.payments import Payment


def serialize_grant(lot: Lot) -> GrantView:
    return GrantView(lot_id=lot.id, **asdict(lot))


def serialize_take_back(take_back: TakeBack) -> TakeBackView:
    return TakeBackView(
        tenant_id=take_back.tenant_id,
        payment_reference=take_back.payment_reference,
        reference=take_back.reference,
        amount=take_back.amount_credits,
        applied=take_back.applied_credits,
        state=take_back.state,
    )


def serialize_payment(payment: Payment) -> PaymentView:
    return PaymentView(
        reference=payment.reference,
        tenant_id=payment.tenant_id,
        grant=serialize_grant(payment.lot) if payment.lot is not None else None,
        take_backs=[serialize_take_back(each) for each in payment.take_backs],
    )


def serialize_credits(tenant_id: str, credits: TenantCredits) -> TenantCreditsView:
    balance = credits.balance
    return TenantCreditsView(
        tenant_id=tenant_id,
        available=balance.available,
        held=balance.held,
        spent=balance.spent,
        owed=balance.owed,
        upcoming=balance.upcoming,
        lots=[serialize_grant(lot) for lot in credits.lots],
        next_cursor=lot_cursor(credits.next_after) if credits.next_after is not None else None,
    )
