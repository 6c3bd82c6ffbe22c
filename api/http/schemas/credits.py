"""A tenant's account."""

from datetime import datetime

from pydantic import BaseModel

from domain.credits import AccountKind, TransferKind


class BalanceView(BaseModel):
    """A tenant's credits: granted in all = available + held + spent."""

    available: int
    held: int
    spent: int


class EntryView(BaseModel):
    """One line of a tenant's account."""

    id: int
    transfer_id: str
    kind: TransferKind
    account: AccountKind
    amount: int
    balance_after: int
    generation_id: str | None
    created_at: datetime


class EntryPage(BaseModel):
    """Newest first. `next_cursor` is null on the last page."""

    data: list[EntryView]
    next_cursor: str | None
