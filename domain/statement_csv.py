"""A statement as CSV (RFC 4180), for people who open it in a spreadsheet."""

from collections.abc import Iterator

from domain.statements import Statement

COLUMNS = ("month", "is_final", "adds_up", "line", "name", "generations", "images", "credits")
# A spreadsheet takes a cell that begins with one of these for a formula, and runs it.
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")
_TO_BE_QUOTED = frozenset('",\r\n')


def statement_csv(statement: Statement) -> str:
    """Return the lines of a statement: credits that came are positive, those that went negative.

    All lines before `closing` add up to it, and so do those after it.
    """
    facts = (statement.month.strftime("%Y-%m"), _word(statement.is_final), _word(statement.adds_up))
    lines = [COLUMNS, *((*facts, *line) for line in _lines(statement))]
    return "".join(",".join(map(_cell, line)) + "\r\n" for line in lines)


def _lines(statement: Statement) -> Iterator[tuple[str | int, ...]]:
    nothing = ("", "")
    yield "opening", "", *nothing, statement.opening
    yield "granted", "paid", *nothing, statement.granted_paid
    yield "granted", "promotional", *nothing, statement.granted_promotional
    for charge in statement.charges:
        yield "charged", charge.model, charge.generations, charge.images, -charge.charged_credits
    yield "expired", "", *nothing, -statement.expired
    yield "voided", "", *nothing, -statement.voided
    yield "withdrawn", "", *nothing, -statement.withdrawn
    yield "taken_back", "available", *nothing, statement.taken_back_owed - statement.taken_back
    yield "taken_back", "owed", *nothing, -statement.taken_back_owed
    yield "closing", "", *nothing, statement.closing
    yield "closing", "available", *nothing, statement.parts.available
    yield "closing", "held", *nothing, statement.parts.held
    yield "closing", "owed", *nothing, -statement.parts.owed


def _word(value: bool) -> str:
    return "true" if value else "false"


def _cell(value: str | int) -> str:
    if isinstance(value, int):
        return str(value)
    text = f"'{value}" if value.startswith(_FORMULA) else value
    quoted = text.replace('"', '""')
    return f'"{quoted}"' if _TO_BE_QUOTED.intersection(text) else text
