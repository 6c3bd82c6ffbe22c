"""Generations: what a client sends, and how it sees a job."""

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field, StrictBool, StrictInt

from api.http.schemas.fields import EventName, Number, RequestBody, Text, WebhookUrl, WholeNumber, Word
from api.http.schemas.jobs import RouteView, SubmitUnknownView
from api.http.schemas.progress import ProgressView
from domain.charging import ChargePolicy
from domain.controls import CanceledBy, Controls, Priority
from domain.generation import Stage, Status
from domain.moderation import ModeratedAt

# A year.
MAX_LIFETIME_SECONDS = 31_536_000
# Fields of the body that are not the model's.
NO_PARAMETERS = {
    *("model", "inputs", "mask", "metadata", "max_cost", "priority", "expires_in", "store_prompt"),
    *("webhook_url", "webhook_events"),
}


class GenerationCreate(RequestBody):
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
    webhook_url: WebhookUrl | None = None
    webhook_events: Annotated[list[EventName], Field(max_length=50)] | None = None
    max_cost: Annotated[WholeNumber, Field(ge=0)] | None = None
    priority: Literal["low", "normal", "high"] | None = None
    expires_in: Annotated[StrictInt, Field(ge=60, le=MAX_LIFETIME_SECONDS)] | None = None
    store_prompt: StrictBool | None = None

    def parameters(self) -> dict[str, Any]:
        """Return the fields that are the model's parameters."""
        return self.model_dump(exclude=NO_PARAMETERS)

    def controls(self, cancel_after_seconds: int | None, start_within_seconds: int | None) -> Controls:
        """Return what the client says beside what to make; the two times come from header fields."""
        return Controls(
            cancel_after_seconds=cancel_after_seconds,
            start_within_seconds=start_within_seconds,
            image_lifetime_seconds=self.expires_in,
            keeps_prompt=self.store_prompt is not False,
            priority=Priority[(self.priority or "normal").upper()],
            webhook_url=self.webhook_url,
            webhook_events=tuple(self.webhook_events or ()),
        )


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

    Attributes:
        stage: For `content_rejected`, whether the `input` or the `output` was refused.
        retryable: Whether a new generation of the same request may succeed.
        charged: Whether it cost anything all the same; `cost` says how much.
    """

    code: str
    message: str
    stage: Stage | ModeratedAt
    retryable: bool
    charged: bool


class UrlsView(BaseModel):
    """Where to ask again, to cancel, and to read what happened and what came of it."""

    self: str
    cancel: str
    events: str
    images: str


class GenerationView(BaseModel):
    """A job, as its client sees it.

    To a key without the scope `generations:read`, which gets it from a POST, `prompt` is null, and inputs,
    mask, images and metadata are left out. So they are once they are erased: `deleted_at` tells when its
    owner deleted all of it, `images_erased_at` when its images went. docs/controls.md tells of what a client
    says beside what to make. `routing` is null where jobs are listed or canceled; docs/jobs.md tells of it.
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
    images_expire_at: datetime | None
    cancel_at: datetime | None
    canceled_by: CanceledBy | None
    start_by: datetime | None
    priority: Literal["low", "normal", "high"]
    retry_of: str | None
    batch_id: str | None
    urls: UrlsView
    routing: list[RouteView] | None = None
    submit_unknown: SubmitUnknownView | None = None
    queue: QueueView | None = None
    progress: ProgressView | None = None
    temporal_ui: str | None = None
    live: dict[str, Any] | None = None


class ImageList(BaseModel):
    """The images of a job that can be had now, and those that will not come."""

    data: list[ImageView]
    undelivered: list[UndeliveredView]


class GenerationPage(BaseModel):
    """In the order of `sort`. `next_cursor` is null on the last page, and only there."""

    data: list[GenerationView]
    next_cursor: str | None
