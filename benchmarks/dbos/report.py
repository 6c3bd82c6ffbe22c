"""Turns the comparison into a result as all benchmarks have it."""

from collections.abc import Sequence
from statistics import median
from typing import Any

from benchmarks.dbos.compare import MAX_SPREAD, OWN_PARTS, Comparison, Row, spread
from benchmarks.report import Goal, Result, Table

MAX_OWN_PARTS_RATIO = 0.75
_NOTE = f"No ratio where the rounds of a side differ by more than {MAX_SPREAD:.0%} of their median."


def result(found: Comparison) -> Result:
    """Return the table, the goal, and every round of every row."""
    rows = [(row.what, _side(row.darkroom), _side(row.dbos), _ratio(row)) for row in found.rows()]
    title = f"Darkroom and the same lifecycle on DBOS, {len(found.darkroom)} rounds each: median (spread)"
    headings = ("processor ms a generation, or as named", "Darkroom", "DBOS", "ratio")
    own_parts = found.row(OWN_PARTS)
    goal = Goal(OWN_PARTS, own_parts.ratio, at_most=MAX_OWN_PARTS_RATIO, why_not=_ratio(own_parts))
    return Result([Table(title, headings, rows)], [goal], [_NOTE], _numbers(found))


def _numbers(found: Comparison) -> dict[str, Any]:
    return {
        row.what: {
            "darkroom": [round(value, 2) for value in row.darkroom],
            "dbos": [round(value, 2) for value in row.dbos],
            "ratio": None if row.ratio is None else round(row.ratio, 3),
        }
        for row in found.rows()
    }


def _side(values: Sequence[float]) -> str:
    return f"{median(values):.1f} ({spread(values):.0%})" if values else ""


def _ratio(row: Row) -> str:
    if row.ratio is not None:
        return f"{row.ratio:.2f}"
    return "not resolved" if row.darkroom and row.dbos else ""
