"""Goals are ok, missed or unknown; tables are plain text outside a terminal."""

import io

import pytest
from rich.console import Console

from benchmarks.cost import Loaded, sums
from benchmarks.load import Run, Sample
from benchmarks.report import Goal, Result, Table, compared, show
from benchmarks.rounds import Comparison, Ratio

CPU_MS = {"worker": 30.0, "temporal": 20.0, "temporal's postgres": 5.0, "simulator": 8.0, "benchmark": 4.0}


@pytest.mark.parametrize(
    ("goal", "verdict"),
    [
        (Goal("cost", 1.5, at_most=1.5), "ok"),
        (Goal("cost", 1.6, at_most=1.5), "MISSED"),
        (Goal("throughput", 0.6, at_least=0.6), "ok"),
        (Goal("throughput", 0.5, at_least=0.6), "MISSED"),
        (Goal.of("throughput", Ratio(None, 0.2), at_least=0.6), "UNKNOWN"),
    ],
)
def test_a_goal_is_met_at_its_bound(goal: Goal, verdict: str) -> None:
    assert goal.verdict == verdict


def test_sums_leave_out_what_is_somebody_elses_machine_and_then_temporal() -> None:
    assert list(sums(CPU_MS).values()) == [67.0, 55.0, 30.0]


def test_both_workers_are_one_row() -> None:
    run = Run([Sample("a", 0.1, 0.2)], 2.0)
    reading = Loaded(run, {"worker": 0.5, "baseline worker": 20.0}).reading
    assert (reading["per second"], reading["worker, ms"]) == (0.5, 20.5)


def test_a_row_shows_its_runs_and_a_ratio_if_they_agree() -> None:
    ours = [{"steady": 10.0, "apart": 10.0, "alone": 5.0}, {"steady": 10.5, "apart": 20.0, "alone": 5.0}]
    theirs = {"steady": 20.0, "apart": 10.0, "alone": 0.1}
    comparison = Comparison([{"a": each, "b": theirs} for each in ours], dropped=1)
    table = compared("Both", comparison, "a", "b")
    assert table.title.startswith("Both: 2 runs each in turn")
    assert "1 more rounds were too far apart" in table.title
    assert table.rows == [
        ("steady", "10.2 (10.0 to 10.5)", "20.0 (20.0 to 20.0)", "0.51"),
        ("apart", "15.0 (10.0 to 20.0)", "10.0 (10.0 to 10.0)", "spread 67%: no ratio"),
        ("alone", "5.0 (5.0 to 5.0)", "0.1 (0.1 to 0.1)", ""),
    ]


def test_outside_a_terminal_the_report_is_plain_text() -> None:
    output = io.StringIO()
    table = Table("Cost", ("", "ms"), [("worker", "30")])
    show(Result([table], [Goal("cost", 2.0, at_most=1.5)], ["a note"]), Console(file=output))

    text = output.getvalue()
    assert "≤ 1.5" in text
    assert "MISSED" in text
    assert text.rstrip().endswith("a note")
    assert not set(text) & set("\x1b│┃━─")
