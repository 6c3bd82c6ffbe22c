"""Events as text: their ids, and Server-Sent Events.

https://html.spec.whatwg.org/multipage/server-sent-events.html
"""

import json
import re
from collections.abc import AsyncGenerator
from contextlib import aclosing

from fastapi.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from api.http.schemas.events import EventView
from domain.errors import EventsExpired, InvalidInput
from domain.events import Event, EventPosition

_ID = re.compile(r"evt_(0|[1-9][0-9]{0,18})_([1-9][0-9]{0,18})")
_MAX_BIGINT = 2**63 - 1
# How soon a client that lost its connection tries again. In a message of its own, some take it for an event.
_RETRY = "retry: 1000\n"
EVENT_STREAM = "text/event-stream"
HEARTBEAT = ":\n\n"
# Proxies would collect the stream, or compress it, which does the same.
_HEADERS = {"Cache-Control": "no-store, no-transform", "X-Accel-Buffering": "no"}


def event_id(event: Event) -> str:
    return f"evt_{event.position.transaction_id}_{event.position.id}"


def read_event_id(given: str, field: str) -> EventPosition:
    """Return the position that an id stands for. Raises InvalidInput naming the field."""
    match = _ID.fullmatch(given)
    if match is None or max(int(match[1]), int(match[2])) > _MAX_BIGINT:
        raise InvalidInput(errors=((field, "the id of an event, as in evt_812_4077"),))
    return EventPosition(int(match[1]), int(match[2]))


def serialize_event(event: Event) -> EventView:
    return EventView(
        id=event_id(event),
        type=event.type,
        generation_id=event.generation_id,
        number=event.number,
        created_at=event.created_at,
        data=dict(event.data),
    )


def message(event: Event) -> str:
    """Return an event as a message of a stream."""
    data = serialize_event(event).model_dump_json()
    return f"{_RETRY}id: {event_id(event)}\nevent: {event.type}\ndata: {data}\n\n"


def reset_message() -> str:
    """Return what a client gets whose last event is not in the log any more: it has to read all again."""
    data = json.dumps({"code": EventsExpired.code, "message": EventsExpired.message})
    return f"{_RETRY}event: reset\ndata: {data}\n\n"


class EventStreamResponse(StreamingResponse):
    """Sends messages as they come, and ends their generator with the connection."""

    def __init__(self, messages: AsyncGenerator[str]) -> None:
        super().__init__(messages, media_type=EVENT_STREAM, headers=_HEADERS)
        self._messages = messages

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async with aclosing(self._messages):
            await super().__call__(scope, receive, send)
