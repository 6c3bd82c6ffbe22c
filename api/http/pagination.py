"""Cursors: where a list continues, as one opaque word. They hold nothing secret."""

import base64
import binascii
import hashlib
import json
import re
from dataclasses import asdict, dataclass
from datetime import date, datetime, timedelta
from typing import Any

from domain.errors import InvalidInput
from domain.keys import KeyPosition
from domain.listing import GenerationFilter, ListOrder, ListPosition, SortKey, SortValue
from domain.ports.webhooks import Page
from domain.statements import UsageGroup, UsageLine, UsageQuery, read_month

# In the description of a parameter: nothing is one but what a page gave out.
GENERATION_CURSOR: dict[str, Any] = {"format": "generation-cursor"}
DELIVERY_CURSOR: dict[str, Any] = {"format": "delivery-cursor"}
KEY_CURSOR: dict[str, Any] = {"format": "key-cursor"}
ENTRY_CURSOR: dict[str, Any] = {"format": "entry-cursor"}
LOT_CURSOR: dict[str, Any] = {"format": "lot-cursor"}
MONTH_CURSOR: dict[str, Any] = {"format": "month-cursor"}
BATCH_CURSOR: dict[str, Any] = {"format": "batch-cursor"}
ITEM_CURSOR: dict[str, Any] = {"format": "item-cursor"}
_MAX_ID = 2**63 - 1
_FIRST_YEAR, _LAST_YEAR = 2000, 9999
_MICROSECOND = timedelta(microseconds=1)
_LIST_ID = re.compile(r"[0-9a-f]{16}")
_BATCH_ID = re.compile(r"bat_[0-9a-f]{32}")
_COUNT = re.compile(r"-?[0-9]{1,17}")


def generation_cursor(position: ListPosition, wanted: GenerationFilter, order: ListOrder) -> str:
    value = position.value
    if isinstance(value, datetime):
        written = value.isoformat()
    else:
        written = str(value // _MICROSECOND if isinstance(value, timedelta) else value)
    return _wrap(f"{_list_id(wanted, order)} {written} {position.id}")


def delivery_cursor(last: Page) -> str:
    return _wrap(f"{last.created_at.isoformat()} {last.id}")


def read_generation_cursor(
    cursor: str | None, wanted: GenerationFilter, order: ListOrder
) -> ListPosition | None:
    """Raises InvalidInput, also for a cursor of another list."""
    if cursor is None:
        return None
    text = _unwrap(cursor)
    list_id, _, place = text.partition(" ")
    if not _LIST_ID.fullmatch(list_id):
        # The version before had one order and one filter, and did not name them.
        if order is not ListOrder.NEWEST or wanted != GenerationFilter(status=wanted.status):
            raise _invalid()
        place = text
    elif list_id != _list_id(wanted, order):
        raise InvalidInput(errors=(("cursor", "belongs to a list with another sort or other filters"),))
    written, _, generation_id = place.partition(" ")
    if not generation_id.isprintable():
        raise _invalid()
    return ListPosition(_read_value(written, order.key), generation_id)


def read_delivery_cursor(cursor: str | None) -> Page | None:
    """Raises InvalidInput."""
    return Page(*_read_place(cursor)) if cursor is not None else None


def key_cursor(last: KeyPosition) -> str:
    return _wrap(f"{last.created_at.isoformat()} {last.id}")


def read_key_cursor(cursor: str | None) -> KeyPosition | None:
    """Raises InvalidInput."""
    return KeyPosition(*_read_place(cursor)) if cursor is not None else None


def entry_cursor(last_id: int) -> str:
    return _wrap(str(last_id))


def read_entry_cursor(cursor: str | None) -> int | None:
    """Raises InvalidInput."""
    if cursor is None:
        return None
    text = _unwrap(cursor)
    # No id is larger than PostgreSQL's bigint; the length goes first, as Python will not read any text.
    if not text.isdecimal() or len(text) > len(str(_MAX_ID)) or int(text) > _MAX_ID:
        raise _invalid()
    return int(text)


def lot_cursor(last_id: str) -> str:
    return _wrap(last_id)


def read_lot_cursor(cursor: str | None) -> str | None:
    """Raises InvalidInput."""
    return _word(_unwrap(cursor)) if cursor is not None else None


def month_cursor(last: date) -> str:
    return _wrap(last.strftime("%Y-%m"))


def read_month_cursor(cursor: str | None) -> date | None:
    """Raises InvalidInput."""
    if cursor is None:
        return None
    text = _unwrap(cursor)
    try:
        return read_month(text)
    except InvalidInput:
        raise _invalid() from None


@dataclass(frozen=True)
class UsagePosition:
    """Which usage a cursor continues, and after which line."""

    wanted: UsageQuery
    after: UsageLine


def usage_cursor(wanted: UsageQuery, last: UsageLine) -> str:
    day = last.day.isoformat() if last.day is not None else ""
    days = (wanted.first_day.isoformat(), wanted.last_day.isoformat())
    return _wrap(json.dumps([*days, ",".join(wanted.groups), day, last.model or "", last.key_id or ""]))


def read_usage_cursor(cursor: str | None) -> UsagePosition | None:
    """Raises InvalidInput."""
    if cursor is None:
        return None
    try:
        first, last, groups, day, model, key_id = map(_word, json.loads(_unwrap(cursor)))
        wanted = UsageQuery(
            date.fromisoformat(first),
            date.fromisoformat(last),
            tuple(UsageGroup(group) for group in groups.split(",") if group),
        )
        wanted.require_bounds()
        # Of a group that the list does not have, nothing is read.
        after = UsageLine(date.fromisoformat(day or first), model, key_id, 0, 0, 0)
    except (ValueError, TypeError, RecursionError, InvalidInput):
        raise _invalid() from None
    return UsagePosition(wanted, after)


def _word(value: object) -> str:
    if not isinstance(value, str) or not value.isprintable():
        raise _invalid()
    return value


def batch_cursor(last_id: str) -> str:
    return _wrap(last_id)


def read_batch_cursor(cursor: str) -> str:
    """Raises InvalidInput."""
    text = _unwrap(cursor)
    if not _BATCH_ID.fullmatch(text):
        raise _invalid()
    return text


def item_cursor(last_index: int) -> str:
    return _wrap(str(last_index))


def read_item_cursor(cursor: str | None) -> int | None:
    """Raises InvalidInput."""
    return read_entry_cursor(cursor)


def _list_id(wanted: GenerationFilter, order: ListOrder) -> str:
    """Return what tells a list from those with another order or filter."""
    given = json.dumps([order, asdict(wanted)], sort_keys=True, default=datetime.isoformat)
    return hashlib.sha256(given.encode()).hexdigest()[:16]


def _read_place(cursor: str) -> tuple[datetime, str]:
    written, _, id_ = _unwrap(cursor).partition(" ")
    if not id_.isprintable():
        raise _invalid()
    return _read_moment(written), id_


def _read_value(written: str, key: SortKey) -> SortValue:
    if key is SortKey.CREATED_AT:
        return _read_moment(written)
    if not _COUNT.fullmatch(written):
        raise _invalid()
    return int(written) if key is SortKey.COST else int(written) * _MICROSECOND


def _read_moment(written: str) -> datetime:
    try:
        moment = datetime.fromisoformat(written)
    except ValueError:
        raise _invalid() from None
    # At the ends of time a moment has no equal in another time zone, and the database would fail on it.
    if moment.tzinfo is None or not _FIRST_YEAR <= moment.year < _LAST_YEAR:
        raise _invalid()
    return moment


def _wrap(text: str) -> str:
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def _unwrap(cursor: str) -> str:
    try:
        raw = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        return raw.decode("ascii")
    except (binascii.Error, ValueError):
        raise _invalid() from None


def _invalid() -> InvalidInput:
    return InvalidInput(errors=(("cursor", "take it from next_cursor of the page before"),))
