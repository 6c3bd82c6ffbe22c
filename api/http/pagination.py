"""Cursors: where a list continues, as one opaque word. They hold nothing secret."""

import base64
import binascii
from datetime import datetime
from typing import Any

from domain.errors import InvalidInput
from domain.generation import Generation
from domain.ports import Page

# In the description of a parameter: nothing is one but what a page gave out.
GENERATION_CURSOR: dict[str, Any] = {"format": "generation-cursor"}
ENTRY_CURSOR: dict[str, Any] = {"format": "entry-cursor"}
_MAX_ID = 2**63 - 1
_FIRST_YEAR, _LAST_YEAR = 2000, 9999


def generation_cursor(last: Generation) -> str:
    return _wrap(f"{last.created_at.isoformat()} {last.id}")


def read_generation_cursor(cursor: str | None) -> Page | None:
    """Raises InvalidInput."""
    if cursor is None:
        return None
    moment, _, generation_id = _unwrap(cursor).partition(" ")
    try:
        created_at = datetime.fromisoformat(moment)
    except ValueError:
        raise _invalid() from None
    # At the ends of time a moment has no equal in another time zone, and the database would fail on it.
    is_a_row = created_at.tzinfo is not None and _FIRST_YEAR <= created_at.year < _LAST_YEAR
    if not is_a_row or not generation_id.isprintable():
        raise _invalid()
    return Page(created_at, generation_id)


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
