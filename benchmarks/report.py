"""What a benchmark returns, and how it is printed: tables, goals, and numbers for scripts."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from rich.console import Console
from rich.table import Table as RichTable

from benchmarks.rounds import Comparison, Range, Ratio

PLAIN_WIDTH = 140
# A part that is idle on one side costs a little all the same.
_MIN_SHARE = 0.05


@dataclass(frozen=True)
class Goal:
    """A bound for a number. value: None if it could not be told."""

    what: str
    value: float | None
    at_most: float | None = None
    at_least: float | None = None
    why_not: str = ""

    @classmethod
    def of(
        cls, what: str, ratio: Ratio, *, at_most: float | None = None, at_least: float | None = None
    ) -> "Goal":
        return cls(what, ratio.value, at_most, at_least, "" if ratio.value is not None else str(ratio))

    @property
    def bound(self) -> str:
        return f"≤ {self.at_most:g}" if self.at_most is not None else f"≥ {self.at_least:g}"

    @property
    def is_met(self) -> bool | None:
        if self.value is None:
            return None
        if self.at_most is not None:
            return self.value <= self.at_most
        return self.at_least is None or self.value >= self.at_least

    @property
    def verdict(self) -> str:
        return {None: "UNKNOWN", True: "ok", False: "MISSED"}[self.is_met]


@dataclass(frozen=True)
class Table:
    """Rows of text under headings; the first column names the row."""

    title: str
    headings: Sequence[str]
    rows: Sequence[Sequence[str]]


@dataclass(frozen=True)
class Result:
    """What a benchmark found. numbers: for scripts, with units last in their names."""

    tables: Sequence[Table] = ()
    goals: Sequence[Goal] = ()
    notes: Sequence[str] = ()
    numbers: Mapping[str, Any] = field(default_factory=dict)


def cell(found: Range, digits: int = 1) -> str:
    """Return the median, and the least and the most in brackets."""
    return f"{found.median:.{digits}f} ({found.least:.{digits}f} to {found.most:.{digits}f})"


def compared(title: str, comparison: Comparison, ours: str, theirs: str, digits: int = 1) -> Table:
    """Return a table of two contenders: each row with its runs, and the ratio where these agree."""
    rows = [
        (
            row,
            cell(comparison.range(ours, row), digits),
            cell(comparison.range(theirs, row), digits),
            _ratio(comparison, ours, theirs, row),
        )
        for row in comparison.rows(ours)
    ]
    runs = f"{len(comparison.rounds)} runs each in turn, median (least to most)"
    if comparison.dropped:
        runs += f"; {comparison.dropped} more rounds were too far apart"
    return Table(f"{title}: {runs}", ("", ours, theirs, "ratio"), rows)


def _ratio(comparison: Comparison, ours: str, theirs: str, row: str) -> str:
    """Return the ratio, or nothing for a part that only one of the two uses."""
    pair = comparison.range(ours, row).median, comparison.range(theirs, row).median
    return "" if min(pair) < _MIN_SHARE * max(pair) else str(comparison.ratio(ours, theirs, row))


def show(result: Result, console: Console | None = None) -> None:
    """Print tables and goals, with colors on a terminal."""
    console = console or Console()
    if not console.is_terminal:
        console = Console(file=console.file, width=PLAIN_WIDTH, color_system=None)
    for table in result.tables:
        console.print(_rich(console, table))
    if result.goals:
        console.print(_rich(console, _goals(result.goals)))
    for note in result.notes:
        console.print(note, soft_wrap=True)


def _goals(goals: Sequence[Goal]) -> Table:
    rows = [
        (goal.what, goal.why_not if goal.value is None else f"{goal.value:.2f}", goal.bound, goal.verdict)
        for goal in goals
    ]
    return Table("Goals", ("", "measured", "goal", ""), rows)


def _rich(console: Console, table: Table) -> RichTable:
    title = {"title": table.title, "title_justify": "left"}
    made = RichTable(**title) if console.is_terminal else RichTable(**title, box=None)  # type: ignore[arg-type]
    for number, heading in enumerate(table.headings):
        made.add_column(heading, justify="right" if number and heading else "left")
    for row in table.rows:
        made.add_row(*row, style="red" if "MISSED" in row else None)
    return made
