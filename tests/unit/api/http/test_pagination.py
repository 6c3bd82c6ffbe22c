"""Cursors continue after their entry; a forged one is refused."""

import base64
from datetime import UTC, datetime, timedelta, timezone
from itertools import product

import pytest

from api.http.pagination import entry_cursor, generation_cursor, read_entry_cursor, read_generation_cursor
from domain.errors import InvalidInput
from domain.generation import Status
from domain.listing import GenerationFilter, ListOrder, ListPosition, SortKey

MOMENT = datetime(2026, 1, 15, 12, 30, 59, 123456, tzinfo=UTC)
ALL, NEWEST = GenerationFilter(), ListOrder.NEWEST
POSITION = ListPosition(MOMENT, "gen_1")
POSITIONS = {
    SortKey.CREATED_AT: POSITION,
    SortKey.DURATION: ListPosition(timedelta(days=3, microseconds=1), "gen_1"),
    SortKey.COST: ListPosition(7, "gen_1"),
}
# Each is of another list than all others.
FILTERS = [
    ALL,
    GenerationFilter(status=Status.FAILED),
    GenerationFilter(model="a"),
    GenerationFilter(provider="a"),
    GenerationFilter(metadata={"a": "b"}),
    GenerationFilter(metadata={"a": "c"}),
    GenerationFilter(metadata={"b": "a"}),
    GenerationFilter(created_after=MOMENT),
    GenerationFilter(created_before=MOMENT),
    GenerationFilter(q="a"),
    GenerationFilter(q="b"),
]
LISTS = list(product(FILTERS, ListOrder))


def ours(place: str) -> str:
    """Return a cursor of the list of all, newest first, that continues at this place."""
    raw = base64.urlsafe_b64decode(generation_cursor(POSITION, ALL, NEWEST) + "==")
    return wrapped(f"{raw.decode().split()[0]} {place}")


def wrapped(content: str | bytes) -> str:
    raw = content.encode(errors="surrogatepass") if isinstance(content, str) else content
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def read(cursor: str | None) -> ListPosition | None:
    return read_generation_cursor(cursor, ALL, NEWEST)


@pytest.mark.parametrize(
    "moment", [MOMENT, MOMENT.replace(microsecond=0), MOMENT.astimezone(timezone(timedelta(hours=5.5)))]
)
def test_a_page_of_generations_continues_at_the_microsecond(moment: datetime) -> None:
    cursor = generation_cursor(ListPosition(moment, "gen_1"), ALL, NEWEST)

    assert cursor.replace("-", "").replace("_", "").isalnum()
    assert read(cursor) == ListPosition(moment, "gen_1")


@pytest.mark.parametrize("order", ListOrder)
def test_a_page_continues_in_every_order(order: ListOrder) -> None:
    position = POSITIONS[order.key]
    assert read_generation_cursor(generation_cursor(position, ALL, order), ALL, order) == position


@pytest.mark.parametrize("index", range(len(LISTS)))
def test_a_cursor_of_a_list_with_another_sort_or_filter_is_refused(index: int) -> None:
    wanted, order = LISTS[index]
    cursor = generation_cursor(POSITIONS[order.key], wanted, order)
    for other in LISTS[:index] + LISTS[index + 1 :]:
        with pytest.raises(InvalidInput, match="another sort or other filters") as caught:
            read_generation_cursor(cursor, *other)
        assert [field for field, _ in caught.value.errors] == ["cursor"]


def test_a_cursor_of_the_version_before_continues_a_list_that_it_had() -> None:
    cursor = wrapped(f"{MOMENT.isoformat()} gen_1")
    assert read(cursor) == POSITION
    assert read_generation_cursor(cursor, GenerationFilter(status=Status.FAILED), NEWEST) == POSITION
    for wanted, order in ((GenerationFilter(q="a"), NEWEST), (ALL, ListOrder.OLDEST)):
        with pytest.raises(InvalidInput):
            read_generation_cursor(cursor, wanted, order)


def test_a_cursor_fits_where_it_is_given() -> None:
    """No longer than the route takes it."""
    last = ListPosition(MOMENT.astimezone(timezone(timedelta(hours=5.5))), f"gen_{'f' * 40}")
    assert len(generation_cursor(last, LISTS[-1][0], NEWEST)) <= 200


@pytest.mark.parametrize("last_id", [0, 1, 2**31, 2**62])
def test_a_page_of_entries_continues_at_the_id(last_id: int) -> None:
    assert read_entry_cursor(entry_cursor(last_id)) == last_id


def test_no_cursor_is_the_first_page() -> None:
    assert (read(None), read_entry_cursor(None)) == (None, None)


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
    wrapped("9999-12-31T23:59:59.999999-14:00 gen_1"),
    ours("2026-01-15T12:30:59 gen_1"),
    ours("2026-13-15T12:30:59+00:00 gen_1"),
    ours("2026-01-15T12:30:59+00:00 gen\n1"),
    ours("2026-01-15T12:30:59+00:00 gen\x001"),
    ours("99999-01-15T12:30:59+00:00 gen_1"),
    ours("9999-12-31T23:59:59.999999-14:00 gen_1"),
    ours("9999-12-31T23:59:59.999999+00:00 gen_1"),
    ours("0001-01-01T00:00:00+14:00 gen_1"),
    ours("0001-01-01T00:00:00+00:00 gen_1"),
]


@pytest.mark.parametrize("cursor", BROKEN, ids=range(len(BROKEN)))
def test_a_broken_cursor_is_refused_by_both_lists(cursor: str) -> None:
    for read_cursor in (read, read_entry_cursor):
        with pytest.raises(InvalidInput) as caught:
            read_cursor(cursor)
        assert [field for field, _ in caught.value.errors] == ["cursor"]


@pytest.mark.parametrize("order", [order for order in ListOrder if order.key is not SortKey.CREATED_AT])
@pytest.mark.parametrize("value", ["", "x", "1.5", "--1", "1" * 18, "2026-01-15T12:30:59+00:00", "\u0661"])
def test_a_broken_number_is_refused(order: ListOrder, value: str) -> None:
    raw = base64.urlsafe_b64decode(generation_cursor(POSITIONS[order.key], ALL, order) + "==")
    with pytest.raises(InvalidInput):
        read_generation_cursor(wrapped(f"{raw.decode().split()[0]} {value} gen_1"), ALL, order)


def test_a_cursor_of_the_other_list_is_refused() -> None:
    with pytest.raises(InvalidInput):
        read(entry_cursor(5))
    with pytest.raises(InvalidInput):
        read_entry_cursor(generation_cursor(POSITION, ALL, NEWEST))


@pytest.mark.parametrize("place", range(0, 75, 3))
def test_a_cursor_with_one_character_missing_is_refused_or_another_page(place: int) -> None:
    cursor = generation_cursor(POSITION, ALL, NEWEST)
    assert len(cursor) > 70
    try:
        page = read(cursor[:place] + cursor[place + 1 :])
    except InvalidInput:
        return

    assert page != POSITION
