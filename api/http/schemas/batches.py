"""Batches: what a client sends, and how it sees a batch and its items."""

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field, SkipValidation

from api.http.schemas.fields import RequestBody, Text, WholeNumber
from api.http.schemas.generations import (
    NO_PARAMETERS,
    ErrorView,
    GenerationCreate,
    ImageView,
    UndeliveredView,
)
from domain.batch_items import MAX_KEY_CHARACTERS
from domain.batch_lines import Endpoint
from domain.batches import MAX_ARRAY_ITEMS, MAX_CUSTOM_ID_CHARACTERS, BatchStatus, ItemStatus
from domain.input_files import FILE_ID_PATTERN

FileIdText = Annotated[Text, Field(pattern=FILE_ID_PATTERN)]


class BatchItemCreate(GenerationCreate):
    """The body of `POST /v1/generations`, whose images are ids of files, with the names of the item."""

    inputs: Annotated[list[FileIdText], Field(max_length=16)] | None = None
    mask: FileIdText | None = None
    custom_id: Annotated[Text, Field(min_length=1, max_length=MAX_CUSTOM_ID_CHARACTERS)] | None = None
    idempotency_key: (
        Annotated[Text, Field(max_length=MAX_KEY_CHARACTERS, pattern="^[!-~]([ -~]*[!-~])?$")] | None
    ) = None

    def parameters(self) -> dict[str, Any]:
        return self.model_dump(exclude=NO_PARAMETERS | {"custom_id", "idempotency_key"})


class BatchCreate(RequestBody):
    """Either `items`, or `input_file_id`, a file of POST /v1/files with lines in OpenAI's form.

    `endpoint` is what the lines of the file call. `completion_window` is taken for OpenAI's clients and
    changes nothing.
    """

    # Each is validated for itself, so that the others may run meanwhile: api/http/batch_bodies.py.
    items: (
        Annotated[list[SkipValidation[BatchItemCreate]], Field(min_length=1, max_length=MAX_ARRAY_ITEMS)]
        | None
    ) = None
    input_file_id: FileIdText | None = None
    endpoint: Endpoint | None = None
    completion_window: Literal["24h"] | None = None
    concurrency: Annotated[WholeNumber, Field(ge=1)] | None = None
    max_cost: Annotated[WholeNumber, Field(ge=0)] | None = None
    metadata: Annotated[dict[Text, Text], Field(max_length=16)] | None = None


class BatchCountsView(BaseModel):
    """How many items there are of each status."""

    total: int
    waiting: int
    in_progress: int
    completed: int
    failed: int
    canceled: int


class RequestCountsView(BaseModel):
    """The same as OpenAI counts them."""

    total: int
    completed: int
    failed: int


class BatchCostView(BaseModel):
    """Whole credits. `estimated`: the price of all items; 0 while a file is checked. `charged`: so far."""

    estimated: int
    charged: int


class BatchErrorView(BaseModel):
    """What is wrong with a line of the file. `code` is one of docs/errors.md, `param` names the field."""

    code: str
    line: int
    param: str | None
    message: str


class BatchErrorsView(BaseModel):
    """The first errors of a file that was refused, of `total`."""

    object: Literal["list"] = "list"
    data: list[BatchErrorView]
    total: int


class BatchReasonView(BaseModel):
    """Why a batch failed, or was canceled by nobody: a code of docs/errors.md."""

    code: str
    message: str


class BatchUrlsView(BaseModel):
    """Where to ask again, to cancel, and to read what came of it."""

    self: str
    cancel: str
    items: str
    results: str


class BatchView(BaseModel):
    """A batch, as its client sees it. docs/batches.md tells what its status means.

    `object`, `request_counts`, `completion_window`, `output_file_id` and `error_file_id` are for OpenAI's
    clients.
    """

    id: str
    object: Literal["batch"] = "batch"
    status: BatchStatus
    endpoint: str | None
    input_file_id: str | None
    concurrency: int
    max_cost: int | None
    metadata: dict[str, str]
    counts: BatchCountsView
    cost: BatchCostView
    error: BatchReasonView | None
    errors: BatchErrorsView | None
    created_at: datetime
    started_at: datetime | None
    cancel_requested_at: datetime | None
    finished_at: datetime | None
    urls: BatchUrlsView
    request_counts: RequestCountsView
    completion_window: Literal["24h"] = "24h"
    output_file_id: str | None
    error_file_id: str | None


class BatchPage(BaseModel):
    """Newest first. `next_cursor` is null on the last page, and only there.

    `object`, `first_id`, `last_id` and `has_more` are for OpenAI's clients.
    """

    object: Literal["list"] = "list"
    data: list[BatchView]
    next_cursor: str | None
    first_id: str | None
    last_id: str | None
    has_more: bool


class ItemErrorView(BaseModel):
    """Why an item has no images: a code of docs/errors.md."""

    code: str
    message: str


class BatchItemView(BaseModel):
    """An item. `generation_id` is null before its job is made, and where there never was one.

    Attributes:
        attached: Whether its idempotency key found a job that another request had made, and pays.
        cost: The price of the item, and what its job has charged.
        generation_url: Where to read the job.
    """

    index: int
    custom_id: str | None
    status: ItemStatus
    generation_id: str | None
    attached: bool
    cost: BatchCostView
    error: ItemErrorView | ErrorView | None
    images: list[ImageView]
    undelivered: list[UndeliveredView]
    generation_url: str | None


class BatchItemPage(BaseModel):
    """By index. `next_cursor` is null on the last page, and only there."""

    data: list[BatchItemView]
    next_cursor: str | None
