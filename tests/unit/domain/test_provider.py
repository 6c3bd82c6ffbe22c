"""Parsing a signal's arguments never raises."""

import pytest

from domain.provider import ResultSignal

GIVEN = {"inbox_id": 7, "ordinal": 1, "verdict": "failed", "code": "content_rejected"}


def test_a_signal_is_read_from_its_json() -> None:
    assert ResultSignal.parse((GIVEN,)) == ResultSignal(7, 1, "failed", "content_rejected")


def test_fields_of_a_later_version_are_passed_over() -> None:
    assert ResultSignal.parse(({**GIVEN, "color": "red"},)) == ResultSignal(
        7, 1, "failed", "content_rejected"
    )


@pytest.mark.parametrize("code", [None, 5, ["content_rejected"]])
def test_a_code_of_another_shape_is_none(code: object) -> None:
    assert ResultSignal.parse(({**GIVEN, "code": code},)) == ResultSignal(7, 1, "failed", None)


def test_an_unknown_code_is_an_internal_error() -> None:
    signal = ResultSignal.parse(({**GIVEN, "code": "a provider's own words"},))

    assert signal is not None
    assert signal.code == "internal_error"


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        (None,),
        (5,),
        ("failed",),
        ([GIVEN],),
        (GIVEN, GIVEN),
        ({},),
        *[
            ({key: value for key, value in GIVEN.items() if key != name},)
            for name in ("inbox_id", "ordinal", "verdict")
        ],
        ({**GIVEN, "inbox_id": "7"},),
        ({**GIVEN, "inbox_id": 7.0},),
        ({**GIVEN, "ordinal": None},),
        ({**GIVEN, "verdict": 1},),
        ({**GIVEN, "verdict": ["failed"]},),
    ],
    ids=range(15),
)
def test_any_other_shape_is_no_signal(arguments: tuple[object, ...]) -> None:
    assert ResultSignal.parse(arguments) is None
