"""The output of models, in every form that fal's models use and in invalid ones."""

from typing import Any

import pytest

from adapters.providers.fal.adapter import failure, success
from domain.generation import Undelivered
from domain.moderation import ModeratedAt
from domain.provider import JobStatus, ResultFile

A, B = {"url": "https://fal.media/a"}, {"url": "https://fal.media/b"}


@pytest.mark.parametrize(
    ("output", "urls"),
    [
        ({"images": [A, B]}, ["https://fal.media/a", "https://fal.media/b"]),
        ({"images": [A], "image": B}, ["https://fal.media/a"]),
        ({"image": A}, ["https://fal.media/a"]),
        ({"image": A, "images": None}, ["https://fal.media/a"]),
        ({"images": [{**A, "width": "wide", "file_size": None}]}, ["https://fal.media/a"]),
        ({"images": [A], "has_nsfw_concepts": [False]}, ["https://fal.media/a"]),
        ({"images": [A], "has_nsfw_concepts": []}, ["https://fal.media/a"]),
        ({"images": [A], "has_nsfw_concepts": None}, ["https://fal.media/a"]),
    ],
)
def test_images_in_any_shape_are_files_in_order(output: dict[str, Any], urls: list[str]) -> None:
    result = success(output, None, "1")

    assert result.status is JobStatus.SUCCEEDED
    assert result.files == tuple(ResultFile(url) for url in urls)


@pytest.mark.parametrize(
    "output",
    [
        {},
        {"images": []},
        {"images": None},
        {"images": {}},
        {"images": "a.png"},
        {"images": ["a.png"]},
        {"images": [None]},
        {"images": [{}]},
        {"images": [{"url": None}]},
        {"images": [{"url": ""}]},
        {"images": [{"url": 5}]},
        {"images": [{"url": "data:image/png;base64," + "A" * 5000}]},
        {"images": [{"url": "https://fal.media/a b"}]},
        {"images": [{"url": "https://fal.media/\0"}]},
        {"images": [{"url": "https://fal.media/\ud800"}]},
        {"images": [None, {"url": "\n"}]},
        {"image": None},
        {"image": [A]},
    ],
)
def test_an_output_without_an_image_is_unusable(output: dict[str, Any]) -> None:
    result = success(output, 1)

    assert (result.status, result.code, result.files) == (JobStatus.FAILED, "result_unusable", ())


@pytest.mark.parametrize("flags", [[True], [True, True], [False, False, True]])
def test_pictures_that_were_all_blackened_are_a_rejection(flags: list[bool]) -> None:
    result = success({"images": [A, B], "has_nsfw_concepts": flags}, 2)

    assert (result.status, result.code) == (JobStatus.FAILED, "content_rejected")
    assert (result.moderated_at, result.does_not_charge) == (ModeratedAt.OUTPUT, False)


def test_a_blackened_image_is_undelivered_and_the_others_are_delivered() -> None:
    result = success({"images": [A, B, A], "has_nsfw_concepts": [False, True, False]}, 4)

    assert (result.status, result.files) == (
        JobStatus.SUCCEEDED,
        (ResultFile(A["url"]), ResultFile(A["url"])),
    )
    assert result.undelivered == (Undelivered(1, "content_rejected"), Undelivered(3, "not_delivered"))


@pytest.mark.parametrize("entry", [None, 5, {}, {"url": None}, {"url": "\n"}])
def test_an_unusable_entry_is_undelivered_and_the_others_are_delivered(entry: object) -> None:
    result = success({"images": [entry, A, B, entry], "has_nsfw_concepts": [False, False, True, True]}, 5)

    assert (result.status, result.files) == (JobStatus.SUCCEEDED, (ResultFile(A["url"]),))
    assert result.undelivered == (
        Undelivered(0, "result_unusable"),
        Undelivered(2, "content_rejected"),
        Undelivered(3, "content_rejected"),
        Undelivered(4, "not_delivered"),
    )


def test_entries_that_are_black_or_of_no_use_leave_nothing_to_deliver() -> None:
    result = success({"images": [None, A], "has_nsfw_concepts": [False, True]}, 2)

    assert (result.status, result.code) == (JobStatus.FAILED, "result_unusable")


def test_without_the_requested_number_none_is_missing() -> None:
    assert success({"images": [A]}, None).undelivered == ()


@pytest.mark.parametrize("units", [None, "", "many", "-1", "nan", "inf", "1e30", "9" * 5000])
def test_a_cost_that_is_no_amount_is_none(units: str | None) -> None:
    assert success({"images": [A]}, 1, units).cost is None


@pytest.mark.parametrize(
    ("status", "body", "is_free"),
    [
        (500, {}, True),
        (504, {"detail": "x", "error_type": "request_timeout"}, True),
        (422, {"detail": [{"type": "content_policy_violation"}]}, False),
        (422, {"detail": [{"type": "value_error"}]}, False),
        (422, {"detail": [{"type": "no_media_generated"}]}, False),
        (499, {}, False),
        (429, {}, False),
    ],
)
def test_only_what_fal_never_bills_is_free(status: int, body: dict[str, Any], *, is_free: bool) -> None:
    assert failure(status, body).does_not_charge is is_free


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"detail": None},
        {"detail": {"type": "x"}},
        {"detail": [None]},
        {"error": "words"},
        {"detail": "nul \0 half \ud800" * 500},
        {"detail": [{"type": "nul \0 half \ud800"}]},
    ],
)
def test_an_error_in_any_form_fails_the_job_with_a_storable_message(body: dict[str, Any]) -> None:
    result = failure(500, body)

    assert (result.status, result.code) == (JobStatus.FAILED, "provider_failed")
    words = str(result.provider_message)
    assert "\0" not in words
    assert len(words.encode()) <= 2000
