"""RFC 7240: what cannot be read is ignored, and the first of two counts."""

import pytest

from api.http.preferences import preferred_wait_seconds


@pytest.mark.parametrize(
    ("values", "seconds"),
    [
        ([], None),
        (["wait=5"], 5),
        (['wait="5"'], 5),
        (["respond-async, wait=5"], 5),
        (["WAIT = 5 ; x=y"], 5),
        (["wait=5, wait=6"], 5),
        (["return=minimal", "wait=7"], 7),
        (["wait=0"], 0),
        (["wait=61"], 60),
        (["wait=999999999"], 60),
        (["wait=9999999999"], 60),
        (["wait=" + "9" * 31], None),
        (["wait=-1"], None),
        (["wait=1.5"], None),
        (["wait"], None),
        (["wait=soon"], None),
        (["waits=5"], None),
    ],
)
def test_a_wait_is_read(values: list[str], seconds: int | None) -> None:
    assert preferred_wait_seconds(values) == seconds
