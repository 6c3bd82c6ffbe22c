"""Cursors continue after their entry; a forged one is refused."""

import base64
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone

import pytest

from api.http.pagination import entry_cursor, generation_cursor, read_entry_cursor, read_generation_cursor
from domain.errors import InvalidInput
from domain.generation import Generation, GenerationRequest, Stage, Status
from domain.ports import Page

MOMENT = datetime(2026, 1, 15, 12, 30, 59, 123456, tzinfo=UTC)
GENERATION = Generation(
    id="gen_1",
    tenant_id="ten_1",
    request=GenerationRequest("flux-dev", "fal", "fal-ai/flux/dev", "a fox", {}, 1, 1),
    status=Status.CREATED,
    stage=Stage.CREATED,
    error=None,
    cancel_requested=False,
    needs_attention=None,
    held_credits=0,
    charged_credits=0,
    refunded_credits=0,
    created_at=MOMENT,
    queued_at=None,
    processing_at=None,
    finished_at=None,
)


def wrapped(content: str | bytes) -> str:
    raw = content.encode(errors="surrogatepass") if isinstance(content, str) else content
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


@pytest.mark.parametrize(
    "moment", [MOMENT, MOMENT.replace(microsecond=0), MOMENT.astimezone(timezone(timedelta(hours=5.5)))]
)
def test_a_page_of_generations_continues_at_the_microsecond(moment: datetime) -> None:
    cursor = generation_cursor(replace(GENERATION, created_at=moment))

    assert cursor.replace("-", "").replace("_", "").isalnum()
    assert read_generation_cursor(cursor) == Page(moment, "gen_1")


@pytest.mark.parametrize("last_id", [0, 1, 2**31, 2**62])
def test_a_page_of_entries_continues_at_the_id(last_id: int) -> None:
    assert read_entry_cursor(entry_cursor(last_id)) == last_id


def test_no_cursor_is_the_first_page() -> None:
    assert (read_generation_cursor(None), read_entry_cursor(None)) == (None, None)


BROKEN = [
    "",
    " ",
    "a",
    "====",
    "!!!!",
    "\u00e9",
    "\ud800",
    "\0",
    "a" * 100_001,
    wrapped(b"\xff\xfe"),
    wrapped("\u0661"),
    wrapped(""),
    wrapped(" "),
    wrapped("now gen_1"),
    wrapped("-1"),
    wrapped("1.0"),
    wrapped("1_0"),
    wrapped("9" * 20),
    wrapped("9" * 5000),
    wrapped("2026-01-15T12:30:59 gen_1"),
    wrapped("2026-13-15T12:30:59+00:00 gen_1"),
    wrapped("2026-01-15T12:30:59+00:00 gen\n1"),
    wrapped("2026-01-15T12:30:59+00:00 gen\x001"),
    wrapped("99999-01-15T12:30:59+00:00 gen_1"),
    wrapped("9999-12-31T23:59:59.999999-14:00 gen_1"),
    wrapped("9999-12-31T23:59:59.999999+00:00 gen_1"),
    wrapped("0001-01-01T00:00:00+14:00 gen_1"),
    wrapped("0001-01-01T00:00:00+00:00 gen_1"),
]


@pytest.mark.parametrize("cursor", BROKEN, ids=range(len(BROKEN)))
def test_a_broken_cursor_is_refused_by_both_lists(cursor: str) -> None:
    for read in (read_generation_cursor, read_entry_cursor):
        with pytest.raises(InvalidInput) as caught:
            read(cursor)
        assert [field for field, _ in caught.value.errors] == ["cursor"]


def test_a_cursor_of_the_other_list_is_refused() -> None:
    with pytest.raises(InvalidInput):
        read_generation_cursor(entry_cursor(5))
    with pytest.raises(InvalidInput):
        read_entry_cursor(generation_cursor(GENERATION))


@pytest.mark.parametrize("place", range(0, 40, 3))
def test_a_cursor_with_one_character_missing_is_refused_or_another_page(place: int) -> None:
    cursor = generation_cursor(GENERATION)
    try:
        page = read_generation_cursor(cursor[:place] + cursor[place + 1 :])
    except InvalidInput:
        return

    assert page != Page(MOMENT, "gen_1")
