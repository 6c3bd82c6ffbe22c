"""Events, and tokens to watch them."""

from datetime import datetime
from typing import Annotated, Any

from pydantic import BaseModel, Field

from api.http.schemas.fields import RequestBody, Text, WholeNumber
from domain.events import EventType


class EventView(BaseModel):
    """One event. `id` says where it stands; `number` counts those of its generation from 1, without a gap.

    `data` depends on the type: docs/events.md.
    """

    id: str
    type: EventType
    generation_id: str | None
    number: int | None
    created_at: datetime
    data: dict[str, Any]


class EventPage(BaseModel):
    """Events in order, the oldest first.

    Attributes:
        next_cursor: Of the next page; null if this was the last one for now.
        last_event_id: Where to continue later: `cursor`, or `Last-Event-ID` of a stream.
    """

    data: list[EventView]
    next_cursor: str | None
    last_event_id: str | None


class WatchTokenCreate(RequestBody):
    """The body of `POST /v1/watch-tokens`."""

    generation_id: Annotated[Text, Field(min_length=1, max_length=100)]
    ttl_seconds: Annotated[WholeNumber, Field(ge=10, le=3600)] = 900


class WatchTokenView(BaseModel):
    """A token that reads one generation and its events, for a browser that has no key.

    `events_url` is the stream with the token in it.
    """

    token: str
    generation_id: str
    expires_at: datetime
    events_url: str
