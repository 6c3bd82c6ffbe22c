"""Timing by which a job could outgrow the history of its workflow is refused when the catalog is loaded."""

from pathlib import Path

import pytest

from tests.unit.adapters.catalog.test_models_toml import load, models_file, text

__all__ = ["models_file"]

POLLED_FOR_A_DAY = """{ first_poll_seconds = 1, poll_factor = 1, max_poll_seconds = 1, poll_jitter = 0,
    deadline_seconds = 86400 }"""


def test_timing_that_outgrows_a_history_is_refused(models_file: Path) -> None:
    timing = " ".join(POLLED_FOR_A_DAY.split())
    with pytest.raises(ValueError, match=r"models\.one: timing: up to 952\d{3} events.*max_poll_seconds"):
        load(models_file, text(timing=timing))


def test_a_queue_that_outgrows_a_history_is_refused(models_file: Path) -> None:
    with pytest.raises(ValueError, match="QUEUE_TIMEOUT_SECONDS"):
        load(models_file, text(), queue_timeout_seconds=10 * 86_400.0)


def test_the_history_of_a_fallback_counts_too(models_file: Path) -> None:
    half = " ".join(POLLED_FOR_A_DAY.split()).replace("86400", "2700")
    other = text(before="", name="other", timing=half, provider='"other"')
    load(models_file, text(timing=half) + other)
    with pytest.raises(ValueError, match=r"models\.one: timing"):
        load(models_file, text(timing=half, fallback='"other"') + other)
