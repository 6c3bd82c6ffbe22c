"""The drawn images: valid, different, repeatable."""

import io

import pytest
from PIL import Image

from simulator.core.images.render import draw, input_boxes
from simulator.core.jobs import Picture

SQUARE = Picture(width=96, height=64, image_format="png", seed=1, count=4)


def test_the_same_job_index_and_seed_give_the_same_picture() -> None:
    assert draw(SQUARE, "a boat", "job", 0) == draw(SQUARE, "a boat", "job", 0)


def test_another_job_index_or_seed_gives_another_picture() -> None:
    other_seed = Picture(width=96, height=64, image_format="png", seed=2, count=4)
    pictures = {
        draw(SQUARE, "a boat", "job", 0),
        draw(SQUARE, "a boat", "job", 1),
        draw(SQUARE, "a boat", "other", 0),
        draw(other_seed, "a boat", "job", 0),
    }

    assert len(pictures) == 4


def test_the_prompt_is_written_on_it_without_its_markers() -> None:
    assert draw(SQUARE, "a boat", "job", 0) != draw(SQUARE, "a ship", "job", 0)
    assert draw(SQUARE, "a boat", "job", 0) == draw(SQUARE, "[sim:hang] a boat", "job", 0)


@pytest.mark.parametrize("prompt", ["", "x" * 10_000, "日本語 עברית 🎨", "line\nline\x00", "\ud800"])
@pytest.mark.parametrize("image_format", ["png", "jpeg", "webp"])
@pytest.mark.parametrize("size", [(1, 1), (16, 400), (640, 40)])
def test_any_prompt_fits_any_size(prompt: str, image_format: str, size: tuple[int, int]) -> None:
    picture = Picture(width=size[0], height=size[1], image_format=image_format, seed=0, count=1)
    image = Image.open(io.BytesIO(draw(picture, prompt, "job", 0)))

    image.load()
    assert (image.size, image.format) == (size, image_format.upper())


@pytest.mark.parametrize("count", [0, 1, 2, 3, 16])
@pytest.mark.parametrize("size", [(64, 64), (640, 40), (3840, 2160)])
def test_inputs_have_places_of_their_own_in_the_upper_half(count: int, size: tuple[int, int]) -> None:
    boxes = input_boxes(size, count)

    assert len(set(boxes)) == count
    assert all(0 <= left < right <= size[0] for left, _, right, _ in boxes)
    assert all(0 <= top < bottom <= size[1] // 2 for _, top, _, bottom in boxes)


def test_another_input_gives_another_picture() -> None:
    red, blue = (Image.new("RGB", (8, 8), color) for color in ("red", "blue"))

    assert draw(SQUARE, "a boat", "job", 0, inputs=[red]) != draw(SQUARE, "a boat", "job", 0, inputs=[blue])


@pytest.mark.parametrize("image_format", ["png", "webp"])
def test_a_transparent_picture_has_holes(image_format: str) -> None:
    picture = Picture(width=96, height=64, image_format=image_format, seed=1, count=1)
    image = Image.open(io.BytesIO(draw(picture, "a boat", "job", 0, transparent=True)))

    assert image.getchannel("A").getextrema() == (0, 255)


def test_a_lower_quality_is_smaller() -> None:
    picture = Picture(width=256, height=256, image_format="jpeg", seed=1, count=1)
    small, large = (draw(picture, "a boat", "job", 0, quality=quality) for quality in (10, 95))

    assert len(small) < len(large)
