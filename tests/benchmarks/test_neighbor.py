"""What the benchmark of a neighbor prints."""

from collections import Counter

import pytest

from benchmarks.load import Sample
from benchmarks.neighbor import Beside, Timed, show


def samples(*seconds: float) -> list[Timed]:
    return [Timed(Sample("gen_1", accept, 2 * accept), 10 * accept) for accept in seconds]


def test_medians_and_their_ratio_are_printed(capsys: pytest.CaptureFixture[str]) -> None:
    alone, beside = samples(0.01, 0.02, 9.0), samples(0.01, 0.03, 0.04)
    show([Beside("posts", alone, beside, Counter({"202": 7, "429": 2}))])
    assert capsys.readouterr().out.splitlines() == [
        "flood of posts: accept p50 20 ms alone, 30 ms beside it: 1.50",
        "flood of posts: webhook to completed p50 40 ms alone, 60 ms beside it: 1.50",
        "flood of posts: request to completed p50 200 ms alone, 300 ms beside it: 1.50",
        "flood of posts: answers {'202': 7, '429': 2}",
    ]
