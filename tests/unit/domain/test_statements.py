"""Months, days, and statements as CSV."""

import csv
from dataclasses import replace
from datetime import UTC, date, datetime
from io import StringIO

import pytest

from domain.errors import InvalidInput
from domain.statement_csv import COLUMNS, statement_csv
from domain.statements import (
    ModelCharge,
    Parts,
    Statement,
    UsageQuery,
    months_back,
    next_month,
    read_month,
    start_of,
)

HOSTILE = ("=cmd|' /C calc'!A0", "+1", "-1", "@SUM(A1)", "\tx", "\rx", '=a,"b"', "größe", 'a "b", c')
STATEMENT = Statement(
    month=date(2025, 10, 1),
    is_final=True,
    opening=100,
    granted_paid=50,
    granted_promotional=5,
    charges=tuple(ModelCharge(model, 1, 2, 3) for model in HOSTILE),
    expired=4,
    voided=3,
    withdrawn=2,
    taken_back=20,
    taken_back_owed=15,
    parts=Parts(available=110, held=4, owed=15),
    spent=27,
)


def test_months_follow_one_another() -> None:
    assert next_month(date(2025, 12, 1)) == date(2026, 1, 1)
    assert next_month(date(2025, 11, 1)) == date(2025, 12, 1)
    assert list(months_back(date(2026, 2, 1), date(2025, 11, 1))) == [
        *(date(2026, 2, 1), date(2026, 1, 1), date(2025, 12, 1), date(2025, 11, 1))
    ]
    assert list(months_back(date(2026, 1, 1), date(2026, 2, 1))) == []
    assert start_of(date(2026, 1, 1)) == datetime(2026, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    "written", ["2025-13", "2025-00", "25-01", "0000-01", "1999-12", "3000-01", "2025-1", ""]
)
def test_what_is_no_month_is_refused(written: str) -> None:
    with pytest.raises(InvalidInput, match="YYYY-MM"):
        read_month(written)


def test_too_many_days_are_refused() -> None:
    UsageQuery(date(2024, 1, 1), date(2024, 12, 31)).require_bounds()
    for first, last in ((date(2024, 1, 1), date(2025, 1, 1)), (date(2024, 1, 2), date(2024, 1, 1))):
        with pytest.raises(InvalidInput):
            UsageQuery(first, last).require_bounds()


@pytest.mark.parametrize("part", ["opening", "granted_paid", "granted_promotional", "expired", "voided"])
def test_a_statement_whose_sums_differ_does_not_add_up(part: str) -> None:
    assert STATEMENT.adds_up
    assert not replace(STATEMENT, **{part: getattr(STATEMENT, part) + 1}).adds_up


def test_a_statement_whose_charges_are_not_what_was_spent_does_not_add_up() -> None:
    assert not replace(STATEMENT, spent=28).adds_up
    shifted = replace(STATEMENT, charges=STATEMENT.charges[:-1], withdrawn=STATEMENT.withdrawn + 3)
    assert not shifted.adds_up


def test_the_lines_of_a_csv_add_up() -> None:
    header, *lines = csv.reader(StringIO(statement_csv(STATEMENT), newline=""))
    assert tuple(header) == COLUMNS
    assert {len(line) for line in lines} == {len(COLUMNS)}
    moved = [int(line[7]) for line in lines if line[3] != "closing"]
    total, *parts = [int(line[7]) for line in lines if line[3] == "closing"]
    assert sum(moved) == total == sum(parts) == STATEMENT.closing


def test_no_cell_of_a_csv_is_a_formula_and_each_can_be_read_again() -> None:
    written = statement_csv(STATEMENT)
    assert written.endswith("\r\n")
    lines = list(csv.reader(StringIO(written, newline="")))
    names = [line[4] for line in lines if line[3] == "charged"]
    assert [name.removeprefix("'") for name in names] == list(HOSTILE)
    words = [cell for line in lines for cell in line[:5]]
    assert not any(word.startswith(("=", "+", "-", "@", "\t", "\r")) for word in words)
    assert all(cell.removeprefix("-").isdigit() for line in lines[1:] for cell in line[5:] if cell)
