"""Whatever a provider says of its progress, only what is believable is kept of it, and little."""

import pytest

from adapters.providers.http.progress import (
    log_lines,
    message_lines,
    percent_of_share,
    progress_bar_percent,
    progress_of,
)
from domain.progress import ProviderProgress

NAN, INFINITY = float("nan"), float("inf")
MAX_LOG_BYTES = 2_000


@pytest.mark.parametrize("position", [0, 1, 1_000_000])
def test_a_position_counts_from_0(position: int) -> None:
    assert progress_of(queue_position=position) == ProviderProgress(queue_position=position)


@pytest.mark.parametrize("position", [-1, 1_000_001, 10**400, 1.5, NAN, True, "3", None, [], {"a": 1}])
def test_what_is_no_position_is_none(position: object) -> None:
    assert progress_of(queue_position=position) is None


@pytest.mark.parametrize(("stated", "percent"), [(0, 0), (45, 45), (33.3333, 33.3), (100, 100), (1e-300, 0)])
def test_a_percentage_is_rounded_to_a_tenth(stated: float, percent: float) -> None:
    assert progress_of(percent=stated) == ProviderProgress(percent=percent)


@pytest.mark.parametrize("percent", [-0.1, 100.1, 10**400, NAN, INFINITY, -INFINITY, True, "45", None, []])
def test_what_is_no_percentage_is_none(percent: object) -> None:
    assert progress_of(percent=percent) is None


@pytest.mark.parametrize(
    ("share", "percent"), [(0, 0), (0.3, 30), (1, 100), (1.0, 100), (45, 45), (100, 100), (True, None)]
)
def test_a_share_becomes_a_percentage_and_what_is_above_1_is_one(
    share: object, percent: float | None
) -> None:
    said = progress_of(percent=percent_of_share(share))

    assert (said.percent if said else None) == percent


@pytest.mark.parametrize("share", [-0.1, 101, NAN, INFINITY, 10**400, "0.3", None, [0.3]])
def test_what_is_no_share_is_none(share: object) -> None:
    assert progress_of(percent=percent_of_share(share)) is None


def test_nothing_said_is_no_progress() -> None:
    assert progress_of() is None
    assert progress_of(is_queued=True) == ProviderProgress(is_queued=True)


@pytest.mark.parametrize("log", [None, 5, NAN, True, [], ["a line"], {"message": "a line"}, b"a line", ""])
def test_what_is_no_text_is_no_log(log: object) -> None:
    assert log_lines(log) == ()


def test_the_last_lines_of_a_log_are_kept() -> None:
    log = "".join(f"line {number}\r\n" for number in range(100))

    assert log_lines(log) == tuple(f"line {number}" for number in range(80, 100))


def test_a_bar_that_overwrites_itself_is_a_line_each_time() -> None:
    assert log_lines("  0%|   | 0/2\r 50%|█  | 1/2\r") == ("  0%|   | 0/2", " 50%|█  | 1/2")


@pytest.mark.parametrize(
    "log", ["x" * 10_000_000, "é" * 10_000_000, "line\n" * 2_000_000, "\n" * 10_000_000, "😀\n" * 2_500_000]
)
def test_a_log_of_10_megabytes_leaves_2_kilobytes(log: str) -> None:
    lines = log_lines(log)

    assert sum(len(line.encode()) for line in lines) <= MAX_LOG_BYTES
    assert (len(lines) > 0) == bool(log.strip())
    assert len(lines) <= 20


def test_wide_lines_are_fewer() -> None:
    lines = log_lines("\n".join(f"{number}" + "é" * 500 for number in range(20)))

    assert [line[:2] for line in lines] == ["15", "16", "17", "18", "19"]
    assert {len(line) for line in lines} == {200}


@pytest.mark.parametrize(
    ("log", "lines"),
    [
        ("\x1b[31mred\x1b[0m", ("red",)),
        ("a\0b\x07c\x7fd\x9be", ("abcde",)),
        ("a\tb", ("a b",)),
        ("left \u202eright\u2066", ("left right",)),
        ("half \ud800 a pair", ("half  a pair",)),
        ("\x1b[" + ";" * 100_000 + "m", (";" * 200,)),
        (" \t \x00\n\n ", ()),
        ("Prompt: a fox, 日本語 😀", ("Prompt: a fox, 日本語 😀",)),
    ],
)
def test_control_characters_go(log: str, lines: tuple[str, ...]) -> None:
    assert log_lines(log) == lines


def test_a_log_may_be_a_list_of_messages() -> None:
    entries = [{"message": "one", "level": "INFO"}, {"message": "two\nthree"}, {"level": "INFO"}, 5, None]

    assert message_lines(entries, "message") == ("one", "two", "three")
    assert message_lines([{"message": 5}, {"message": ["x"]}], "message") == ()
    assert message_lines([{"message": "x" * 100_000}] * 1000, "message") != ()


@pytest.mark.parametrize("entries", [None, "text", 5, {"message": "x"}, [[]], []])
def test_what_is_no_list_of_messages_is_no_log(entries: object) -> None:
    assert message_lines(entries, "message") == ()


@pytest.mark.parametrize(
    ("lines", "percent"),
    [
        ((" 45%|████▌     | 9/20 [00:03<00:03,  3.05it/s]",), 45),
        (("100%|██████████| 20/20 [00:06<00:00,  3.05it/s]", "Done"), 100),
        (("  0%|          | 0/4 [00:00<?, ?it/s]", " 25%|██▌       | 1/4 [00:00<00:01]", "step"), 25),
        (("100%|██████████| 4/4", "  0%|          | 0/20 [00:00<?, ?it/s]"), 0),
        (("45% of it is done", "45%|", "9/20"), None),
        (("1234%|██| 1/2",), None),
        (("-5%|██| 1/2",), None),
        ((), None),
    ],
)
def test_the_last_bar_counts(lines: tuple[str, ...], percent: int | None) -> None:
    assert progress_bar_percent(lines) == percent


def test_a_bar_over_100_percent_is_not_believed() -> None:
    assert progress_of(percent=progress_bar_percent(("900%|██| 9/1",))) is None
