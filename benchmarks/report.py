"""Turns measurements into a table for people and JSON for scripts."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.percentiles import Spread
from benchmarks.scenario import Measured

# The budgets; docs/benchmarks.md says what each one means.
MIN_THROUGHPUT_RATIO = 0.6
MAX_ACCEPT_RATIO = 2.5
MAX_REACTION_RATIO = 3.0
MAX_EVENTS = 27.0
PLAIN_WIDTH = 120


@dataclass(frozen=True)
class Row:
    """One line: Darkroom's number, the baseline's, and the budget, if there is one."""

    what: str
    darkroom: str
    baseline: str
    ratio: str = ""
    budget: str = ""
    is_met: bool | None = None

    @property
    def verdict(self) -> str:
        return {None: "", True: "ok", False: "MISSED"}[self.is_met]


def rows(measured: Measured) -> list[Row]:
    """Return every number with a budget, and those that belong to it."""
    per_second, baseline_per_second = measured.loaded.run.per_second, measured.baseline_per_second
    baseline_runs = " and ".join(f"{each.run.per_second:.1f}" for each in measured.baseline_loaded)
    ratio = per_second / baseline_per_second
    return [
        Row(
            "throughput, one worker process",
            f"{per_second:.1f}/s",
            f"{baseline_per_second:.1f}/s ({baseline_runs})",
            f"{ratio:.3f}",
            f"≥ {MIN_THROUGHPUT_RATIO}",
            ratio >= MIN_THROUGHPUT_RATIO,
        ),
        *_latency(
            "accept (POST, start_workflow)",
            measured.idle.accept,
            measured.baseline_idle.accept,
            MAX_ACCEPT_RATIO,
        ),
        *_latency(
            "webhook to completed (signal to result)",
            measured.idle.reaction,
            measured.baseline_idle.reaction,
            MAX_REACTION_RATIO,
        ),
        Row(
            "history events, finished by webhook",
            f"{measured.events:.1f}",
            f"{measured.baseline_events:.1f}",
            budget=f"≤ {MAX_EVENTS:.0f}",
            is_met=measured.events <= MAX_EVENTS,
        ),
    ]


def _latency(what: str, ours: Spread, theirs: Spread, at_most: float) -> list[Row]:
    """Return the median with its budget, then the 99th percentile, which has none."""
    ratio, tail = ours.p50_seconds / theirs.p50_seconds, ours.p99_seconds / theirs.p99_seconds
    return [
        Row(
            f"{what}, p50",
            _ms(ours.p50_seconds),
            _ms(theirs.p50_seconds),
            f"{ratio:.1f}x",
            f"≤ {at_most:g}x",
            ratio <= at_most,
        ),
        Row(f"{what}, p99", _ms(ours.p99_seconds), _ms(theirs.p99_seconds), f"{tail:.1f}x"),
    ]


def _ms(seconds: float) -> str:
    return f"{1000 * seconds:.1f} ms"


def show(measured: Measured, machine: Mapping[str, Any], console: Console | None = None) -> None:
    """Print tables, with colors on a terminal."""
    console = console or Console()
    if not console.is_terminal:
        console = Console(file=console.file, width=PLAIN_WIDTH, color_system=None)
    table = _table(console, "Darkroom and a baseline workflow of the same shape")
    for heading in ("", "Darkroom", "baseline", "ratio", "budget", ""):
        table.add_column(heading, justify="left" if heading == "" else "right")
    for row in rows(measured):
        style = {None: None, True: "green", False: "red"}[row.is_met]
        table.add_row(row.what, row.darkroom, row.baseline, row.ratio, row.budget, row.verdict, style=style)
    console.print(table)
    console.print(_cpu_table(console, measured))
    console.print(", ".join(f"{name} {value}" for name, value in machine.items()), soft_wrap=True)


def _cpu_table(console: Console, measured: Measured) -> Table:
    table = _table(console, "Processor time under load, milliseconds each")
    for heading in ("", "a generation", "a baseline workflow"):
        table.add_column(heading, justify="right" if heading else "left")
    ours, theirs = measured.loaded.cpu_ms, measured.baseline_loaded[1].cpu_ms
    for name in ours:
        table.add_row(name, f"{ours[name]:.1f}", f"{theirs[name]:.1f}")
    table.add_row("together", f"{sum(ours.values()):.1f}", f"{sum(theirs.values()):.1f}")
    return table


def _table(console: Console, title: str) -> Table:
    return Table(title=title, title_justify="left") if console.is_terminal else Table(title=title, box=None)


def as_json(measured: Measured) -> dict[str, Any]:
    """Return every number, rounded. Scripts read these names, in which `bare` is the baseline."""
    per_second, baseline_per_second = measured.loaded.run.per_second, measured.baseline_per_second
    return {
        "generations_per_second": round(per_second, 2),
        "bare_workflows_per_second": round(baseline_per_second, 2),
        "bare_runs_per_second": [round(each.run.per_second, 2) for each in measured.baseline_loaded],
        "ratio": round(per_second / baseline_per_second, 3),
        "events_per_generation": round(measured.events, 2),
        "events_per_generation_under_load": round(measured.events_loaded, 2),
        "events_per_bare_workflow": round(measured.baseline_events, 2),
        "accept": _spread(measured.idle.accept),
        "bare_start": _spread(measured.baseline_idle.accept),
        "webhook_to_completed": _spread(measured.idle.reaction),
        "bare_signal_to_result": _spread(measured.baseline_idle.reaction),
        "accept_under_load": _spread(measured.loaded.run.accept),
        "webhook_to_completed_under_load": _spread(measured.loaded.run.reaction),
        "cpu_ms_per_generation": _rounded(measured.loaded.cpu_ms),
        "cpu_ms_per_bare_workflow": _rounded(measured.baseline_loaded[1].cpu_ms),
        "budgets": {row.what: row.verdict for row in rows(measured) if row.verdict},
    }


def _spread(spread: Spread) -> dict[str, float]:
    return {
        "p50_ms": round(1000 * spread.p50_seconds, 2),
        "p99_ms": round(1000 * spread.p99_seconds, 2),
        "samples": spread.samples,
    }


def _rounded(numbers: Mapping[str, float]) -> dict[str, float]:
    return {name: round(number, 2) for name, number in numbers.items()}
