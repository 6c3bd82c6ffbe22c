"""A tenant's account, lots and thresholds as the API returns them."""

from collections.abc import Iterable
from dataclasses import asdict

from api.http.schemas.credits import (
    BalanceView,
    EntryView,
    ExpiryView,
    LotAmountView,
    LotView,
    ThresholdList,
    ThresholdView,
)
from domain.credits import Balance, Entry
from domain.lots import Lot, Threshold


def serialize_balance(balance: Balance) -> BalanceView:
    expiry = balance.next_expiry
    return BalanceView(
        available=balance.available,
        held=balance.held,
        spent=balance.spent,
        owed=balance.owed,
        upcoming=balance.upcoming,
        next_expiry=ExpiryView(**asdict(expiry)) if expiry is not None else None,
        thresholds=[serialize_threshold(threshold) for threshold in balance.thresholds],
    )


def serialize_threshold(threshold: Threshold) -> ThresholdView:
    return ThresholdView(threshold_credits=threshold.threshold_credits, told_at=threshold.told_at)


def serialize_thresholds(thresholds: Iterable[Threshold]) -> ThresholdList:
    return ThresholdList(data=[serialize_threshold(threshold) for threshold in thresholds])


def serialize_entry(entry: Entry) -> EntryView:
    return EntryView(
        id=entry.id,
        transfer_id=entry.transfer_id,
        kind=entry.kind,
        account=entry.account,
        amount=entry.amount,
        balance_after=entry.balance_after,
        generation_id=entry.generation_id,
        reference=entry.reference,
        lots=[LotAmountView(lot_id=each.lot_id, amount=each.amount) for each in entry.lots],
        created_at=entry.created_at,
    )


def serialize_lot(lot: Lot) -> LotView:
    return LotView(**{name: value for name, value in asdict(lot).items() if name in LotView.model_fields})
