"""The pictures: real, different, repeatable."""

import io

import pytest
from PIL import Image

from simulator.drawing import draw
from simulator.jobs import Picture

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
