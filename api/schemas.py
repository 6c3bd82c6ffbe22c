"""The wire: what a client sends and gets. Separate from `domain` so that either can change alone."""

from datetime import datetime
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StrictInt

from domain.credits import AccountKind, TransferKind
from domain.generation import Stage, Status


def _storable(text: str) -> str:
    """Refuse what PostgreSQL cannot hold: NUL, and surrogates without their other half."""
    if "\0" in text or any("\ud800" <= character <= "\udfff" for character in text):
        raise ValueError("must not contain NUL or lone surrogates")
    return text


Text = Annotated[str, Field(strict=True), AfterValidator(_storable)]
# Wider than any model's own limit; those are checked against the catalogue, with the model's numbers.
WholeNumber = Annotated[StrictInt, Field(ge=-(2**53), le=2**53)]


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class GenerationCreate(_Body):
    """The body of `POST /v1/generations`. A field the model does not take is refused, not dropped."""

    model: Annotated[Text, Field(min_length=1, max_length=100)]
    prompt: Annotated[Text, Field(min_length=1, max_length=32_000)]
    n: WholeNumber | None = None
    size: Annotated[Text, Field(max_length=20)] | None = None
    aspect_ratio: Annotated[Text, Field(max_length=20)] | None = None
    seed: WholeNumber | None = None
    output_format: Annotated[Text, Field(max_length=20)] | None = None
    inputs: Annotated[list[Text], Field(max_length=16)] | None = None
    metadata: Annotated[dict[Text, Text], Field(max_length=16)] | None = None

    def parameters(self) -> dict[str, Any]:
        """Everything the model is asked about."""
        return self.model_dump(exclude={"model", "metadata"})


class ImageView(BaseModel):
    """One stored image. `url` is ours and stays; it redirects to a short-lived signed address."""

    index: int
    url: str
    width: int
    height: int
    content_type: str
    size_bytes: int
    sha256: str


class CostView(BaseModel):
    """Whole credits. `reserved` is what was held; in the end it equals `charged` + `refunded`."""

    estimated: int
    reserved: int
    charged: int
    refunded: int


class ErrorView(BaseModel):
    """Why a generation failed. `code` is one of docs/errors.md."""

    code: str
    message: str
    stage: Stage
    retryable: bool


class UrlsView(BaseModel):
    """Where to ask again and where to cancel."""

    self: str
    cancel: str


class GenerationView(BaseModel):
    """A job, as its client sees it."""

    id: str
    status: Status
    stage: Stage
    model: str
    prompt: str
    images: list[ImageView]
    cost: CostView
    error: ErrorView | None
    metadata: dict[str, str]
    created_at: datetime
    queued_at: datetime | None
    processing_at: datetime | None
    finished_at: datetime | None
    urls: UrlsView
    temporal_ui: str | None = None
    live: dict[str, Any] | None = None


class GenerationPage(BaseModel):
    """Newest first. `next_cursor` is null on the last page."""

    data: list[GenerationView]
    next_cursor: str | None


class ModelView(BaseModel):
    """What a model takes and costs."""

    id: str
    title: str
    kind: str
    provider: str
    price_credits: int
    largest_n: int
    longest_prompt_characters: int
    sizes: list[str]
    output_formats: list[str]


class ModelList(BaseModel):
    """Every model that is switched on."""

    data: list[ModelView]


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
