"""What a client sends and gets. Separate from `domain` so that either can change alone."""

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StrictBool, StrictFloat, StrictInt

from domain.charging import ChargePolicy
from domain.credits import AccountKind, TransferKind
from domain.generation import Stage, Status
from domain.moderation import ModeratedAt

_UNSTORABLE = re.compile("[\0\ud800-\udfff]")


def _storable(text: str) -> str:
    """Refuse what PostgreSQL cannot hold: NUL, and surrogates without their other half."""
    if _UNSTORABLE.search(text):
        raise ValueError("must not contain NUL or lone surrogates")
    return text


Text = Annotated[str, Field(strict=True), AfterValidator(_storable)]
# Wider than any model's own limit; those are checked against the catalog, with the model's numbers.
WholeNumber = Annotated[StrictInt, Field(ge=-(2**53), le=2**53)]
Number = Annotated[StrictFloat, Field(allow_inf_nan=False)]
Word = Annotated[Text, Field(max_length=20)]


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class GenerationCreate(_Body):
    """The body of `POST /v1/generations`. A field the model does not take is refused, not dropped."""

    model: Annotated[Text, Field(min_length=1, max_length=100)]
    prompt: Annotated[Text, Field(min_length=1, max_length=32_000)]
    n: WholeNumber | None = None
    size: Word | None = None
    aspect_ratio: Word | None = None
    resolution: Word | None = None
    seed: WholeNumber | None = None
    output_format: Word | None = None
    quality: Word | None = None
    background: Word | None = None
    options: (
        Annotated[
            dict[
                Annotated[Text, Field(max_length=100)],
                StrictBool | WholeNumber | Number | Annotated[Text, Field(max_length=1000)],
            ],
            Field(max_length=20),
        ]
        | None
    ) = None
    inputs: Annotated[list[Text], Field(max_length=16)] | None = None
    mask: Text | None = None
    metadata: Annotated[dict[Text, Text], Field(max_length=16)] | None = None

    def parameters(self) -> dict[str, Any]:
        """Return the fields that are the model's parameters."""
        return self.model_dump(exclude={"model", "inputs", "mask", "metadata"})


class ImageView(BaseModel):
    """One stored image. `sha256` is of its bytes, `source_sha256` of the provider's.

    Its address with the signature opens it for anybody, for days, by a redirect to a short-lived address of
    the object store. Without the signature it never changes, and gives the image itself to an API key.
    """

    index: int
    url: str
    width: int
    height: int
    content_type: str
    size_bytes: int
    sha256: str
    source_sha256: str | None


class UndeliveredView(BaseModel):
    """A requested image that did not come, and why: a code of docs/errors.md."""

    index: int
    code: str


class QueueView(BaseModel):
    """A position in the provider's queue.

    Attributes:
        since: When the attempt joined it.
        ahead: How many come first; at least so many if not `is_exact`.
        reason: `no_free_slot`, or why the provider pushed the attempt back: a code of docs/errors.md.
        retry_in_seconds: For a pushed back attempt, when it asks for a slot again.
    """

    since: datetime
    ahead: int
    is_exact: bool
    reason: str
    retry_in_seconds: float | None


class CostView(BaseModel):
    """Whole credits. `reserved` is what was held; in the end it equals `charged` + `refunded`.

    Attributes:
        cancel_after_submit: What a cancel costs once the provider has the job: nothing (`refund`), the price
            (`charge`), or what the provider says that it cost (`provider_cost`).
        moderation: What it costs if the provider refuses the content.
    """

    estimated: int
    reserved: int
    charged: int
    refunded: int
    cancel_after_submit: ChargePolicy
    moderation: ChargePolicy


class ErrorView(BaseModel):
    """Why a generation failed. `code` is one of docs/errors.md.

    stage: For `content_rejected`, whether the `input` or the `output` was refused.
    """

    code: str
    message: str
    stage: Stage | ModeratedAt
    retryable: bool


class UrlsView(BaseModel):
    """Where to ask again and where to cancel."""

    self: str
    cancel: str


class GenerationView(BaseModel):
    """A job, as its client sees it.

    To a key without the scope `generations:read`, which gets it from a POST, `prompt` is null, and inputs,
    mask, images and metadata are left out. So they are once they are erased: `deleted_at` tells when its
    owner deleted all of it, `images_erased_at` when its images went.
    """

    id: str
    status: Status
    stage: Stage
    model: str
    prompt: str | None
    inputs: list[str]
    mask: str | None
    images: list[ImageView]
    undelivered: list[UndeliveredView]
    cost: CostView
    error: ErrorView | None
    metadata: dict[str, str]
    created_at: datetime
    queued_at: datetime | None
    processing_at: datetime | None
    finished_at: datetime | None
    deleted_at: datetime | None
    images_erased_at: datetime | None
    urls: UrlsView
    queue: QueueView | None = None
    temporal_ui: str | None = None
    live: dict[str, Any] | None = None


class GenerationPage(BaseModel):
    """Newest first. `next_cursor` is null on the last page."""

    data: list[GenerationView]
    next_cursor: str | None


class InputLimitsView(BaseModel):
    """Which input images a model accepts. `min_images` is 0 if it also makes images from a prompt alone."""

    min_images: int
    max_images: int
    max_bytes: int
    max_total_bytes: int
    max_pixels: int
    min_edge_pixels: int
    content_types: list[str]
    mask: Literal["no", "optional", "required"]
    max_mask_bytes: int


class PriceView(BaseModel):
    """Credits for one image: (`per_image` + the step of `by`), once for each megapixel if `per_megapixel`."""

    per_image: int
    by: str | None
    steps: dict[str, int]
    per_megapixel: bool
    default_megapixels: int


class ModelView(BaseModel):
    """What a model accepts and costs. `parameters` holds a JSON Schema for each."""

    id: str
    title: str
    kind: str
    kinds: list[str]
    provider: str
    available: bool
    parameters: dict[str, Mapping[str, Any]]
    inputs: InputLimitsView | None
    price: PriceView
    typical_seconds: float
    max_seconds: float
    webhook: bool
    fallback: str | None
    cancel_after_submit: ChargePolicy
    moderation: ChargePolicy


class ModelList(BaseModel):
    """Every model, also those that are switched off here."""

    data: list[ModelView]


class FileView(BaseModel):
    """A stored image that generations may use until it expires; each use extends that."""

    id: str
    width: int
    height: int
    content_type: str
    size_bytes: int
    sha256: str
    has_alpha: bool
    created_at: datetime
    expires_at: datetime


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


class FieldProblem(BaseModel):
    """What is wrong with one field."""

    field: str
    message: str


class Problem(BaseModel):
    """RFC 9457 problem details, with a stable `code` of docs/errors.md."""

    type: str
    title: str
    status: int
    code: str
    detail: str
    errors: list[FieldProblem] = []
