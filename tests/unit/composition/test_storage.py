"""The settings of images reach the children."""

from pathlib import Path

import pytest
from PIL import Image

from composition import ServiceSettings
from composition.storage import input_images, result_decoders, result_images
from domain.errors import ResultUnusable

NOTED = b"a private note"


def settings_with(**values: object) -> ServiceSettings:
    return ServiceSettings(
        master_key="m" * 32,
        database_url="postgresql://nobody@127.0.0.1/none",
        s3_access_key="a",
        s3_secret_key="s",  # noqa: S106 - nothing is stored
        image_decoders=1,
        **values,
    )


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    path = tmp_path / "picture"
    Image.new("RGB", (100, 100), "red").save(path, "JPEG", comment=NOTED)
    return path


@pytest.mark.parametrize("strips", [True, False])
async def test_metadata_goes_from_inputs_and_results_unless_that_is_off(picture: Path, strips: bool) -> None:
    settings = settings_with(strip_metadata=strips)
    async with input_images(settings) as images, images.inspector.prepare_image(picture, "a") as image:
        assert (NOTED in image.path.read_bytes()) is not strips
    async with (
        result_decoders(settings) as decoders,
        result_images(settings, decoders) as images,
        images.inspector.prepare_image(picture, "a") as image,
    ):
        assert (NOTED in image.path.read_bytes()) is not strips


async def test_pixels_are_capped_by_the_setting(picture: Path) -> None:
    async with input_images(settings_with(max_image_pixels=9_999)) as images:
        with pytest.raises(ResultUnusable, match="over 9999 pixels"):
            async with images.inspector.prepare_image(picture, "a"):
                pass
