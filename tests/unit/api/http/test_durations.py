"""Header fields that say how long a job may take."""

import pytest

from api.http.durations import CANCEL_AFTER, read_duration
from domain.errors import InvalidInput


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("90", 90),
        ("90s", 90),
        ("5m", 300),
        ("1h", 3600),
        (" 1s ", 1),
        ("24h", 86_400),
        ("86400", 86_400),
        ("007", 7),
    ],
)
def test_a_duration_is_read(value: str, seconds: int) -> None:
    assert read_duration(CANCEL_AFTER, [value]) == seconds


def test_without_the_field_there_is_no_time() -> None:
    assert read_duration(CANCEL_AFTER, []) is None


@pytest.mark.parametrize(
    "values",
    [
        *(["0"], ["0s"], ["-1"], ["86401"], ["25h"], ["1441m"], ["1d"], ["1.5m"], ["5 m"], ["5M"], [""]),
        *(["m"], ["1e3"], ["٩٠"], ["9" * 5000], ["1m30s"], ["90, 90"], ["90", "90"], ["PT5M"]),
    ],
)
def test_anything_else_is_refused_by_the_name_of_the_field(values: list[str]) -> None:
    with pytest.raises(InvalidInput) as refused:
        read_duration(CANCEL_AFTER, values)
    [(field, message)] = refused.value.errors
    assert field == "Cancel-After"
    assert "from 1s to 24h" in message
