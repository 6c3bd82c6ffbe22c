"""Turns a comparison into a table for people and JSON for scripts."""

from collections.abc import Sequence
from statistics import median
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.dbos.compare import MAX_SPREAD, OWN_PARTS, Comparison, Row, spread

MAX_OWN_PARTS_RATIO = 0.75
PLAIN_WIDTH = 120


def show(found: Comparison, console: Console | None = None) -> None:
    """Print the table and the goal, with colors on a terminal."""
    console = console or Console()
    if not console.is_terminal:
        console = Console(file=console.file, width=PLAIN_WIDTH, color_system=None)
    title = f"Darkroom and the same lifecycle on DBOS, {len(found.darkroom)} rounds each: median (spread)"
    table = Table(title=title, title_justify="left", box=None)
    for heading in ("processor ms a generation, or as named", "Darkroom", "DBOS", "ratio"):
        table.add_column(heading, justify="right" if table.columns else "left")
    for row in found.rows():
        table.add_row(row.what, _side(row.darkroom), _side(row.dbos), _ratio(row))
    console.print(table)
    console.print(f"no ratio where the rounds of a side differ by more than {MAX_SPREAD:.0%} of their median")
    console.print(f"own parts: {_verdict(found.row(OWN_PARTS))}, goal ≤ {MAX_OWN_PARTS_RATIO}")


def as_json(found: Comparison) -> dict[str, Any]:
    """Return every round of every row, and the ratios that can be told."""
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


def _verdict(row: Row) -> str:
    if row.ratio is None:
        return "not resolved"
    return f"{row.ratio:.2f}, {'met' if row.ratio <= MAX_OWN_PARTS_RATIO else 'MISSED'}"
