"""What happened to one generation, and to all of a tenant's; as JSON, or as a stream."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing, suppress
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

from fastapi import APIRouter, Header, Query, Request, Response, status

from api.deps import CanReadGenerations, ServicesDep, key_of
from api.http.client import client_of
from api.http.declarations import declares
from api.http.event_stream import (
    EVENT_STREAM,
    HEARTBEAT,
    EventStreamResponse,
    event_id,
    message,
    read_event_id,
    reset_message,
    serialize_event,
)
from api.http.schemas.events import EventPage, WatchTokenCreate, WatchTokenView
from api.http.watching import WatchedGeneration
from api.services.event_streams import EventStreams
from domain.errors import (
    DatabaseUnavailable,
    EventsExpired,
    GenerationNotFound,
    TenantSuspended,
    TooManyWaiting,
    Unauthenticated,
)
from domain.events import Event, EventPosition, EventType
from domain.generation import Generation
from domain.url_signatures import watch_token

router = APIRouter(prefix="/v1", tags=["events"])
# Nothing is one but the id of an event.
_EVENT_ID: dict[str, Any] = {"format": "event-id"}
Cursor = Annotated[
    str | None,
    Query(max_length=50, json_schema_extra=_EVENT_ID, description="The id of the last event that was read."),
]
LastEventId = Annotated[str | None, Header(max_length=50, json_schema_extra=_EVENT_ID)]
Limit = Annotated[int, Query(ge=1, le=500)]
Types = Annotated[list[EventType] | None, Query(alias="type", max_length=50)]

_STREAM: dict[str, Any] = {"content": {EVENT_STREAM: {"schema": {"type": "string"}}}}
_EVERY_TYPE = frozenset(EventType)


@router.get(
    "/generations/{generation_id}/events", response_model=EventPage, responses={200: _STREAM, 204: {}}
)
@declares(EventsExpired, TooManyWaiting, DatabaseUnavailable)
async def list_generation_events(
    generation: WatchedGeneration,
    request: Request,
    services: ServicesDep,
    cursor: Cursor = None,
    last_event_id: LastEventId = None,
    limit: Limit = 100,
) -> EventPage | Response:
    """Return a generation's events. With `Accept: text/event-stream` they come as they happen, until its end.

    A client that connects again sends the id of the last event as `Last-Event-ID`. Once the generation has
    ended and all is read, the answer is 204, after which an EventSource does not connect again.
    """
    streams = services.event_streams
    if _wants_stream(request):
        after, is_reset = await _number_for_stream(streams, generation, _position(cursor, last_event_id))
        return await _stream_generation(services.event_streams, generation, after, request, is_reset=is_reset)
    position = _position(cursor, None)
    after = await streams.number_after(generation.tenant_id, generation.id, position)
    events = await services.event_log.list_of_generation(
        generation.tenant_id, generation.id, after=after, limit=limit + 1
    )
    return _page(events, limit, cursor)


@router.get("/events", response_model=EventPage, responses={200: _STREAM})
@declares(EventsExpired, TooManyWaiting)
async def list_events(
    caller: CanReadGenerations,
    request: Request,
    services: ServicesDep,
    cursor: Cursor = None,
    last_event_id: LastEventId = None,
    types: Types = None,
    limit: Limit = 100,
) -> EventPage | Response:
    """Return the events of all of the tenant's generations and credits, the oldest first.

    With `Accept: text/event-stream` they come as they happen, from now on or after `Last-Event-ID`. `limit`
    counts the events of all types: with `type`, a page may have fewer and still not be the last.
    """
    streams, wanted = services.event_streams, frozenset(types or EventType)
    if _wants_stream(request):
        position, is_reset = _position(cursor, last_event_id), False
        try:
            await streams.require_position(caller.tenant_id, position)
        except EventsExpired:
            position, is_reset = None, True
        _begin_waiting(request)
        events = streams.of_types(streams.of_tenant(caller.tenant_id, position, caller.key_id), wanted)
        return EventStreamResponse(_messages(events, is_reset=is_reset))
    position = _position(cursor, None)
    await streams.require_position(caller.tenant_id, position)
    found = await services.event_log.list_of_tenant(caller.tenant_id, after=position, limit=limit + 1)
    return _page(found, limit, cursor, wanted)


@router.post("/watch-tokens", status_code=status.HTTP_201_CREATED)
@declares(GenerationNotFound)
async def create_watch_token(
    body: WatchTokenCreate, caller: CanReadGenerations, services: ServicesDep
) -> WatchTokenView:
    """Make a short-lived token that reads one generation and its events, for a browser without the key."""
    generation = await services.generations.get_generation_of(caller.tenant_id, body.generation_id)
    expires_at = (datetime.now(UTC) + timedelta(seconds=body.ttl_seconds)).replace(microsecond=0)
    token = watch_token(services.keyring, generation.id, int(expires_at.timestamp()))
    url = services.serializer.generation_url(generation.id)
    return WatchTokenView(
        token=token,
        generation_id=generation.id,
        expires_at=expires_at,
        events_url=f"{url}/events?token={token}",
    )


def _wants_stream(request: Request) -> bool:
    accepted = request.headers.get("accept", "").lower()
    # Who takes both, as a client of JSON does that was told of streams, gets what ends.
    return EVENT_STREAM in accepted and "application/json" not in accepted


def _position(cursor: str | None, last_event_id: str | None) -> EventPosition | None:
    """Return where to go on: after the last event of the connection before, if there was one."""
    if last_event_id:
        return read_event_id(last_event_id, "Last-Event-ID")
    return read_event_id(cursor, "cursor") if cursor is not None else None


async def _number_for_stream(
    streams: EventStreams, generation: Generation, position: EventPosition | None
) -> tuple[int, bool]:
    """Return after which number the stream begins, and whether its client has to forget what it knew."""
    try:
        return await streams.number_after(generation.tenant_id, generation.id, position), False
    except EventsExpired:
        return 0, True


async def _stream_generation(
    streams: EventStreams, generation: Generation, after: int, request: Request, *, is_reset: bool
) -> Response:
    ids = (generation.tenant_id, generation.id)
    if not generation.status.is_terminal:
        _begin_waiting(request)
        events = streams.of_generation(*ids, after, key_of(request))
        return EventStreamResponse(_messages(events, is_reset=is_reset))
    if not is_reset and not await streams.has_more(*ids, after):
        return Response(status_code=status.HTTP_204_NO_CONTENT)
    return EventStreamResponse(_messages(streams.of_ended_generation(*ids, after), is_reset=is_reset))


def _begin_waiting(request: Request) -> None:
    """Raises TooManyWaiting."""
    if not client_of(request).begin_waiting():
        raise TooManyWaiting(retry_after_seconds=5)


async def _messages(events: AsyncGenerator[Event | None], *, is_reset: bool) -> AsyncGenerator[str]:
    yield HEARTBEAT + (reset_message() if is_reset else "")
    # A key that is refused from now on: the client learns that when it connects again.
    with suppress(Unauthenticated, TenantSuspended):
        async with aclosing(events) as open_events:
            async for event in open_events:
                yield HEARTBEAT if event is None else message(event)


def _page(
    events: Sequence[Event], limit: int, cursor: str | None, types: frozenset[EventType] = _EVERY_TYPE
) -> EventPage:
    page = events[:limit]
    last = event_id(page[-1]) if page else cursor
    return EventPage(
        data=[serialize_event(event) for event in page if event.type in types],
        next_cursor=last if len(events) > limit else None,
        last_event_id=last,
    )
