"""Percentiles are samples, in any order and number."""

import pytest

from benchmarks.percentiles import Spread, percentile


@pytest.mark.parametrize(
    ("samples", "percent", "expected"),
    [
        ([3.0], 50, 3.0),
        ([3.0], 99, 3.0),
        ([4.0, 1.0, 3.0, 2.0], 50, 2.0),
        ([float(number) for number in range(1, 101)], 99, 99.0),
        ([float(number) for number in range(1, 51)], 99, 50.0),
        ([1.0, 2.0], 0, 1.0),
    ],
)
def test_a_percentile_is_the_sample_of_its_rank(
    samples: list[float], percent: float, expected: float
) -> None:
    assert percentile(samples, percent) == expected


def test_nothing_has_no_percentile() -> None:
    with pytest.raises(ValueError, match="no samples"):
        percentile([], 50)


def test_a_spread_has_the_number_of_its_samples() -> None:
    assert Spread.of([0.2, 0.1, 0.3]) == Spread(p50_seconds=0.2, p99_seconds=0.3, samples=3)
