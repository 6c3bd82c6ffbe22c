"""Batches: many generations that are asked for at once, checked and priced together. Pure data."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Protocol

from domain.controls import Controls
from domain.generation import Generation, Status
from domain.request_digest import generation_digest

# What the ids of batches begin with.
BATCH_PREFIX = "bat_"
MAX_ARRAY_ITEMS = 1000
MAX_FILE_ITEMS = 50_000
DEFAULT_CONCURRENCY = 10
# Of the errors of a file that was refused, how many are kept and shown.
MAX_LINE_ERRORS = 100
MAX_CUSTOM_ID_CHARACTERS = 200
# How a file of a batch is stored among the input files. It has no width and no height: both are 0.
FILE_CONTENT_TYPE = "application/jsonl"


class BatchStatus(StrEnum):
    """Where a batch stands. COMPLETED also if items failed; FAILED only if its file was refused."""

    VALIDATING = "validating"
    IN_PROGRESS = "in_progress"
    CANCELING = "canceling"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELED = "canceled"

    @property
    def is_terminal(self) -> bool:
        return self in (BatchStatus.COMPLETED, BatchStatus.FAILED, BatchStatus.CANCELED)


class ItemState(StrEnum):
    """What the batch knows of an item. STARTED: its generation says the rest, also how it ended."""

    WAITING = "waiting"
    STARTED = "started"
    FAILED = "failed"
    CANCELED = "canceled"


class ItemStatus(StrEnum):
    """How a client sees an item: its own state, or what its generation says. The last three are final."""

    WAITING = "waiting"
    IN_PROGRESS = "in_progress"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELED = "canceled"


@dataclass(frozen=True)
class ItemRequest:
    """What one item asks for, as its client said it: valid for the model but for the images themselves.

    Attributes:
        parameters: The model's, as they were given, `prompt` among them; none of the defaults.
        inputs, mask: Ids of stored files.
        controls: Without the key, which is the batch's.
        max_cost: The highest price that its client accepts for it.
    """

    model: str
    parameters: Mapping[str, Any]
    metadata: Mapping[str, str] = field(default_factory=dict)
    inputs: tuple[str, ...] = ()
    mask: str | None = None
    controls: Controls = field(default_factory=Controls)
    max_cost: int | None = None

    def digest(self) -> str:
        """Return the hash of its meaning, which is that of the same request on a route of generations."""
        return generation_digest(
            self.model,
            self.parameters,
            self.metadata,
            self.inputs,
            self.mask,
            self.controls,
            self.max_cost,
        )


@dataclass(frozen=True)
class BatchItemDraft:
    """An item that was checked and not stored yet.

    Attributes:
        index: Its place from 0: in the array, or the number of its line less 1.
        custom_id: The client's own name for it; once in a batch.
        idempotency_key: Of the tenant's keys of generations, once in a batch: an item whose key was used for
            the same request takes the generation of that key and makes none.
    """

    index: int
    custom_id: str | None
    request: ItemRequest
    price_credits: int
    idempotency_key: str | None = None


@dataclass(frozen=True)
class LineError:
    """What is wrong with a line of a file, or with an item of an array.

    Attributes:
        line: From 1.
        code: Of domain/errors.py.
        field: The field, with a dot before a part of it; empty for the line as a whole.
        text: What it may be. Never a client's own value.
    """

    line: int
    code: str
    field: str
    text: str


def prices_by_key(items: Sequence[BatchItemDraft]) -> Mapping[str, int]:
    """Return the prices of those items that have an idempotency key, by it."""
    return {item.idempotency_key: item.price_credits for item in items if item.idempotency_key is not None}


class LineParser(Protocol):
    """Reads one line of a file: domain/batch_lines.py, with the catalog."""

    def __call__(self, text: str, line: int, endpoint: str) -> BatchItemDraft | Sequence[LineError]:
        """Return the item, or what is wrong with the line. endpoint: What each line has to name."""
        ...


@dataclass(frozen=True)
class BatchDraft:
    """A batch to be stored: of items, or of a file whose lines are checked later.

    Attributes:
        endpoint: Of a file: what its lines call. None for an array.
        items: Empty for a file.
    """

    tenant_id: str
    api_key_id: str
    concurrency: int
    metadata: Mapping[str, str] = field(default_factory=dict)
    max_cost: int | None = None
    items: Sequence[BatchItemDraft] = ()
    input_file_id: str | None = None
    endpoint: str | None = None

    @property
    def price_credits(self) -> int:
        return sum(item.price_credits for item in self.items)


@dataclass(frozen=True)
class BatchCounts:
    """How many items there are of each status; together they are `total`."""

    total: int = 0
    waiting: int = 0
    in_progress: int = 0
    completed: int = 0
    failed: int = 0
    canceled: int = 0


@dataclass(frozen=True)
class Batch:
    """A batch as the database knows it.

    Attributes:
        price_credits: Of all items; 0 until a file was checked, and if its lines are wrong.
        charged_credits: So far, for what the batch made: not for generations that an item's idempotency key
            found.
        errors: Why its file was refused, at most so many; `error_count` is how many there are.
        error_code: Why it failed as a whole: `invalid_input` if its lines are wrong, `file_not_found`,
            `max_cost_exceeded`, `key_budget_exceeded`, `insufficient_credits`. Or why it was canceled:
            None if its client did that.
        content_erased_at: When metadata and custom ids went.
    """

    id: str
    tenant_id: str
    api_key_id: str
    status: BatchStatus
    concurrency: int
    metadata: Mapping[str, str]
    max_cost: int | None
    input_file_id: str | None
    endpoint: str | None
    price_credits: int
    charged_credits: int
    counts: BatchCounts
    created_at: datetime
    started_at: datetime | None = None
    cancel_requested_at: datetime | None = None
    finished_at: datetime | None = None
    error_code: str | None = None
    error_count: int = 0
    errors: tuple[LineError, ...] = ()
    content_erased_at: datetime | None = None


def workflow_input(batch: Batch) -> "BatchInput":
    """Return what the workflow of a batch is started with."""
    return BatchInput(batch.id, batch.tenant_id, batch.status is not BatchStatus.VALIDATING)


@dataclass(frozen=True)
class BatchItem:
    """An item as a client sees it.

    Attributes:
        generation: The job that makes it, with its images; None before that, and where there never was one.
        is_attached: Whether its idempotency key found the generation, which another request made and pays.
        error_code: Why it failed or was canceled without a generation; the rest is in the generation.
        error_text: Which field, and what it may be.
    """

    batch_id: str
    index: int
    custom_id: str | None
    state: ItemState
    price_credits: int
    idempotency_key: str | None
    generation: Generation | None = None
    is_attached: bool = False
    error_code: str | None = None
    error_text: str | None = None

    @property
    def status(self) -> ItemStatus:
        return item_status(self.state, self.generation.status if self.generation is not None else None)


def item_status(state: ItemState, generation: Status | None) -> ItemStatus:
    """Return how a client sees an item. generation: The status of its generation, if it has one."""
    if state is not ItemState.STARTED:
        return ItemStatus(state.value)
    assert generation is not None
    return ItemStatus(generation.value) if generation.is_terminal else ItemStatus.IN_PROGRESS


@dataclass(frozen=True)
class BatchInput:
    """The input of a batch's workflow. Everything else is in the rows.

    is_validated: Of an array, which was checked before it was stored, and of a run that goes on where another
        one was. A check of what is checked already does nothing, but it may wait for files of others.
    """

    batch_id: str
    tenant_id: str
    is_validated: bool = False
