"""What a batch's activities read of it, and what they tell its workflow. Pure data."""

from collections.abc import Mapping
from dataclasses import dataclass

from domain.batches import BatchStatus, ItemRequest


@dataclass(frozen=True)
class BatchReport:
    """What one pass over a batch came to. Stored histories know the fields.

    Attributes:
        has_ended: Whether the batch has, and its workflow may.
        has_moved: Whether an item was begun or ended.
    """

    has_ended: bool
    has_moved: bool = False


@dataclass(frozen=True)
class BatchLook:
    """Where a batch stands, and what decides whether more of it may be made.

    Attributes:
        stop_code: Why nothing more may be made of it, as a code; None if there is no reason.
        is_cancel_requested: Whether its client wants it to end, with what was begun.
        has_waiting: Whether an item was neither begun nor ended.
        open_generations: Those that the batch made.
        tenant_limits: What differs from the defaults, by the name in domain/tenant.py.
        held_credits: By its key, with what its accepted generations will hold; 0 without a cap.
        max_held_credits: The cap of its key; None for none.
        running_batches: Of its tenant, with itself, which all take from the tenant's room.
    """

    tenant_id: str
    api_key_id: str
    status: BatchStatus
    concurrency: int
    stop_code: str | None
    is_cancel_requested: bool
    has_waiting: bool
    open_generations: int
    tenant_limits: Mapping[str, float]
    held_credits: int
    max_held_credits: int | None
    running_batches: int


@dataclass(frozen=True)
class WaitingItem:
    """An item that was neither begun nor ended."""

    index: int
    request: ItemRequest
    price_credits: int
    idempotency_key: str | None


@dataclass(frozen=True)
class BatchFile:
    """The file of a batch that is validated.

    Attributes:
        key: Of its object.
        monthly_budget_credits: Of the API key; None for no budget.
        signs_webhooks: Whether the tenant has the secret that webhooks of generations are signed with.
    """

    tenant_id: str
    api_key_id: str
    key: str
    endpoint: str
    max_cost: int | None
    monthly_budget_credits: int | None
    signs_webhooks: bool
