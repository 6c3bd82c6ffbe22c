"""The report says ok or MISSED for each budget."""

import io
from dataclasses import replace

import pytest
from rich.console import Console

from benchmarks.load import Run, Sample
from benchmarks.report import as_json, rows, show
from benchmarks.scenario import Loaded, Measured

MACHINE = {"cores": 2, "python": "3.11"}


def run_of(count: int, seconds: float, *, accept_ms: float = 10, reaction_ms: float = 60) -> Run:
    return Run([Sample(f"sample-{n}", accept_ms / 1000, reaction_ms / 1000) for n in range(count)], seconds)


@pytest.fixture
def measured() -> Measured:
    """Return measurements that meet every budget by a little."""
    baseline = Loaded(run_of(100, 5.0), {"worker": 0.0, "baseline worker": 25.0})
    return Measured(
        idle=run_of(10, 9.0, accept_ms=24, reaction_ms=145),
        baseline_idle=run_of(10, 9.0, accept_ms=10, reaction_ms=50),
        loaded=Loaded(run_of(100, 7.0), {"worker": 40.0, "baseline worker": 0.0}),
        baseline_loaded=(baseline, baseline),
        events=27.0,
        events_loaded=27.1,
        baseline_events=25.0,
    )


def missed(measured: Measured) -> list[str]:
    return [row.what for row in rows(measured) if row.is_met is False]


def test_met_budgets_are_ok(measured: Measured) -> None:
    assert missed(measured) == []
    assert sum(row.is_met is True for row in rows(measured)) == 4


def test_a_missed_budget_is_named(measured: Measured) -> None:
    slow = run_of(100, 9.0)
    late = run_of(10, 9.0, accept_ms=26, reaction_ms=155)
    assert missed(replace(measured, loaded=Loaded(slow, {}))) == ["throughput, one worker process"]
    assert [what.split()[0] for what in missed(replace(measured, idle=late))] == ["accept", "webhook"]
    assert missed(replace(measured, events=27.5)) == ["history events, finished by webhook"]


def test_the_reference_counts_with_both_of_its_runs(measured: Measured) -> None:
    fast, slow = Loaded(run_of(100, 4.0), {}), Loaded(run_of(100, 6.0), {})
    numbers = as_json(replace(measured, baseline_loaded=(fast, slow)))

    assert numbers["bare_runs_per_second"] == [25.0, 16.67]
    assert numbers["bare_workflows_per_second"] == 20.0
    assert numbers["ratio"] == pytest.approx(numbers["generations_per_second"] / 20.0, abs=0.001)


def test_outside_a_terminal_the_report_is_plain_text(measured: Measured) -> None:
    output = io.StringIO()
    show(replace(measured, events=28.0), MACHINE, Console(file=output))

    text = output.getvalue()
    assert "MISSED" in text
    assert "≤ 27" in text
    assert "cores 2, python 3.11" in text
    assert not set(text) & set("\x1b│┃━─")
