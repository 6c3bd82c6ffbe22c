"""What a model returned, in each of the shapes that fal's models use and in some that none should."""

from typing import Any

import pytest

from adapters.providers.fal import failure, success
from domain.provider import ResultFile, Verdict

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
    result = success(output, "1")

    assert result.verdict is Verdict.SUCCEEDED
    assert result.files == tuple(ResultFile(url) for url in urls)


@pytest.mark.parametrize(
    "output",
    [
        {},
        {"images": []},
        {"images": None},
        {"images": {}},
        {"images": "https://fal.media/a"},
        {"images": ["https://fal.media/a"]},
        {"images": [None]},
        {"images": [{}]},
        {"images": [{"url": None}]},
        {"images": [{"url": ""}]},
        {"images": [{"url": 5}]},
        {"images": [{"url": "data:image/png;base64," + "A" * 5000}]},
        {"images": [{"url": "https://fal.media/a b"}]},
        {"images": [{"url": "https://fal.media/\0"}]},
        {"images": [{"url": "https://fal.media/\ud800"}]},
        {"images": [A, None]},
        {"images": [A, {"url": "\n"}]},
        {"image": None},
        {"image": [A]},
    ],
)
def test_an_output_without_every_image_is_unusable(output: dict[str, Any]) -> None:
    result = success(output)

    assert (result.verdict, result.code, result.files) == (Verdict.FAILED, "result_unusable", ())


@pytest.mark.parametrize("flags", [[True], [False, True]])
def test_a_picture_that_was_blackened_is_a_rejection(flags: list[bool]) -> None:
    result = success({"images": [A, B], "has_nsfw_concepts": flags})

    assert (result.verdict, result.code) == (Verdict.FAILED, "content_rejected")


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
def test_an_error_in_any_shape_fails_the_job_in_words_that_can_be_stored(body: dict[str, Any]) -> None:
    result = failure(500, body)

    assert (result.verdict, result.code) == (Verdict.FAILED, "provider_failed")
    words = str(result.provider_message)
    assert "\0" not in words
    assert len(words.encode()) <= 2000
