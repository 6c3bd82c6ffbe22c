"""Payments: what a billing system named, the lot that it paid for, and its refunds. Pure data."""

from collections.abc import Sequence
from dataclasses import dataclass

from domain.lots import Lot, TakeBack


@dataclass(frozen=True)
class PaymentRecord:
    """A payment as it is stored. lot_id: None until it is granted: a refund of it may come first."""

    reference: str
    tenant_id: str
    lot_id: str | None
    take_backs: Sequence[TakeBack]


@dataclass(frozen=True)
class Payment:
    """A payment and its lot, None until it is granted. take_backs: the oldest first."""

    reference: str
    tenant_id: str
    lot: Lot | None
    take_backs: Sequence[TakeBack]
