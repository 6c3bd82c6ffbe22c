"""Webhook endpoints, their secrets, and deliveries."""

from datetime import datetime
from typing import Annotated, Any

from pydantic import AwareDatetime, BaseModel, Field, StrictBool

from api.http.schemas.fields import EventName, RequestBody, Text, WebhookUrl
from domain.webhooks import DeliveryStatus, DisabledReason

_EventTypes = Annotated[list[EventName], Field(max_length=50)]
_Description = Annotated[Text, Field(max_length=500)]


class WebhookEndpointCreate(RequestBody):
    """event_types: left out or empty for those that end a generation."""

    url: WebhookUrl
    description: _Description = ""
    event_types: _EventTypes = Field(default_factory=list)


class WebhookEndpointChange(RequestBody):
    """What is left out stays."""

    url: WebhookUrl | None = None
    description: _Description | None = None
    event_types: _EventTypes | None = None
    is_enabled: StrictBool | None = None


class ResendRequest(RequestBody):
    """since: when the events happened."""

    since: AwareDatetime


class WebhookEndpointView(BaseModel):
    """Where a tenant's events go.

    Attributes:
        url: Null for the one whose secret signs for the addresses that single jobs name.
        secret_hint: The last characters of the secret.
        previous_secret_until: Until when the secret before signs too.
        disabled_reason: `client`, `gone` (it responded 410) or `failing` (for days).
        failing_since: The first failure after the last success.
    """

    id: str
    url: str | None
    description: str
    event_types: list[str]
    secret_hint: str
    previous_secret_until: datetime | None
    is_enabled: bool
    disabled_reason: DisabledReason | None
    failing_since: datetime | None
    created_at: datetime


class NewWebhookEndpointView(WebhookEndpointView):
    """An endpoint with its secret, which is shown this once."""

    secret: str


class WebhookEndpointList(BaseModel):
    """All endpoints, the oldest first."""

    data: list[WebhookEndpointView]


class JobSecretView(BaseModel):
    """The secret that signs the webhooks of single jobs. endpoint_id: where their deliveries are listed."""

    endpoint_id: str
    secret_hint: str
    created_at: datetime
    previous_secret_until: datetime | None


class NewJobSecretView(JobSecretView):
    """The secret itself, which is shown this once."""

    secret: str


class DeliveryView(BaseModel):
    """One event on its way to one endpoint. Its id is the `webhook-id` of every request.

    Attributes:
        number: Which of its generation's events it is.
        status: `pending`; `succeeded`; `exhausted` after the last attempt; `failed` after a 410; `canceled`
            as its endpoint was deleted or disabled.
    """

    id: str
    endpoint_id: str
    type: str
    generation_id: str | None
    number: int | None
    url: str | None
    status: DeliveryStatus
    attempts: int
    occurred_at: datetime
    created_at: datetime
    next_attempt_at: datetime | None
    finished_at: datetime | None


class DeliveryPage(BaseModel):
    """Newest first. `next_cursor` is null on the last page."""

    data: list[DeliveryView]
    next_cursor: str | None


class DeliveryAttemptView(BaseModel):
    """One request. error_code: why it failed (docs/webhooks.md). excerpt: how the response began."""

    number: int
    at: datetime
    response_status: int | None
    duration_ms: int
    error_code: str | None
    excerpt: str


class DeliveryDetailView(DeliveryView):
    """A delivery with its requests, the oldest first; of very many the last ones."""

    facts: dict[str, Any]
    log: list[DeliveryAttemptView]


class ResentView(BaseModel):
    """How many deliveries go again. is_complete: if false, call again for the rest."""

    started: int
    is_complete: bool
