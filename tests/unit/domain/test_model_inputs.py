"""What images a model takes, and where they go."""

from typing import Any

import pytest

from domain.catalog import Catalog
from domain.charging import ChargePolicy
from domain.errors import InvalidInput
from domain.input_files import InputFile
from tests.support.small_models import small_catalog, stored


@pytest.fixture(scope="module")
def catalog() -> Catalog:
    return small_catalog()


def errors_of(
    catalog: Catalog, files: tuple[InputFile, ...], mask: InputFile | None = None
) -> dict[str, str]:
    with pytest.raises(InvalidInput) as caught:
        catalog.build_request("painter", {"prompt": "x"}, {}, files, mask)
    return dict(caught.value.errors)


def test_images_go_to_the_edit_endpoint_in_their_order(catalog: Catalog) -> None:
    files = (stored("file_b"), stored("file_a"))
    mask = stored("file_m", has_alpha=True)
    request = catalog.build_request("painter", {"prompt": "x"}, {}, files, mask)

    assert (request.endpoint, request.inputs, request.mask) == (
        "painter/1/edit",
        ("file_b", "file_a"),
        "file_m",
    )
    assert request.charging.moderation is ChargePolicy.CHARGE
    assert catalog.build_request("painter", {"prompt": "x"}, {}).endpoint == "painter/1"


@pytest.mark.parametrize(
    ("facts", "limit"),
    [
        ({"content_type": "image/webp"}, "one of image/png, image/jpeg"),
        ({"size_bytes": 1001}, "at most 1000 bytes"),
        ({"width": 101}, "at most 10000 pixels"),
        ({"width": 9}, "at least 10 pixels on each side"),
    ],
)
def test_an_image_over_a_limit_is_named_by_its_place(
    catalog: Catalog, facts: dict[str, Any], limit: str
) -> None:
    files = (stored(), stored(**facts))

    assert errors_of(catalog, files) == {"inputs.1": limit}


@pytest.mark.parametrize(
    ("facts", "limit"),
    [
        ({"has_alpha": False}, "image/png with an alpha channel"),
        ({"content_type": "image/webp"}, "image/png with an alpha channel"),
        ({"size_bytes": 501}, "at most 500 bytes"),
        ({"width": 99}, "as wide and as high as the first of inputs"),
    ],
)
def test_a_mask_over_a_limit_is_named(catalog: Catalog, facts: dict[str, Any], limit: str) -> None:
    mask = stored("file_m", **{"has_alpha": True, **facts})

    assert errors_of(catalog, (stored(),), mask) == {"mask": limit}


@pytest.mark.parametrize(
    ("model", "count", "has_mask", "errors"),
    [
        ("maker", 1, False, {"inputs": "maker takes no images"}),
        ("painter", 4, False, {"inputs": "this model takes 0 to 3 images"}),
        ("painter", 0, True, {"mask": "needs the image that it masks in inputs"}),
        (
            "filler",
            0,
            True,
            {"inputs": "this model takes 1 image", "mask": "needs the image that it masks in inputs"},
        ),
        ("filler", 1, False, {"mask": "needed by this model"}),
    ],
)
def test_the_number_of_images_is_known_before_they_are_ready(
    catalog: Catalog, model: str, count: int, has_mask: bool, errors: dict[str, str]
) -> None:
    with pytest.raises(InvalidInput) as caught:
        catalog.get_model(model).validate({"prompt": "x"}, {}, count, mask=has_mask)

    assert dict(caught.value.errors) == errors


def test_images_are_limited_together(catalog: Catalog) -> None:
    files = tuple(stored(f"file_{number}", size_bytes=900) for number in range(3))

    assert errors_of(catalog, files) == {"inputs": "at most 2500 bytes together"}
