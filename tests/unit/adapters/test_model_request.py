"""A model takes what it says it takes, and names everything else."""

from typing import Any

import pytest

from domain.catalogue import Catalogue, Model, pixels
from domain.errors import InvalidInput, ModelNotFound
from domain.generation import GenerationRequest, Waits

MODEL = Model(
    id="flux-dev",
    title="FLUX",
    kind="text_to_image",
    provider="fal",
    endpoint="fal-ai/flux/dev",
    price_credits=3,
    largest_n=4,
    longest_prompt_characters=20,
    sizes=("1024x1024", "512x512"),
    formats=("jpeg", "png"),
    webhook=True,
    waits=Waits(1, 1, 1, 0, 1, 1),
)


def bad_fields(wanted: dict[str, Any], metadata: dict[str, str] | None = None) -> list[str]:
    with pytest.raises(InvalidInput) as caught:
        MODEL.request(wanted, metadata or {})
    return [field for field, _ in caught.value.errors]


def test_a_prompt_is_all_that_is_needed() -> None:
    assert MODEL.request({"prompt": "a fox"}, {}) == GenerationRequest(
        model="flux-dev",
        provider="fal",
        endpoint="fal-ai/flux/dev",
        prompt="a fox",
        parameters={"n": 1, "size": "1024x1024", "output_format": "jpeg"},
        n=1,
        price_credits=3,
        metadata={},
    )


def test_what_is_given_goes_before_the_defaults() -> None:
    wanted = {"prompt": "a fox", "n": 4, "size": "512x512", "output_format": "png", "seed": 0}
    request = MODEL.request(wanted, {"order": "7"})

    assert request.parameters == {"n": 4, "size": "512x512", "output_format": "png", "seed": 0}
    assert (request.n, request.price_credits, request.metadata) == (4, 12, {"order": "7"})


def test_none_means_not_given() -> None:
    fields = ("n", "size", "seed", "output_format", "aspect_ratio", "inputs")

    assert MODEL.request({"prompt": "x", **dict.fromkeys(fields)}, {}) == MODEL.request({"prompt": "x"}, {})


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("prompt", "x" * 20),
        ("prompt", "\U0001f98a" * 20),
        ("n", 1),
        ("n", 4),
        ("seed", 0),
        ("seed", 2**32 - 1),
        ("size", "512x512"),
        ("output_format", "png"),
    ],
)
def test_a_limit_is_inside(field: str, value: object) -> None:
    MODEL.request({"prompt": "x", field: value}, {})


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("prompt", ""),
        ("prompt", " \n\t\u3000"),
        ("prompt", "x" * 21),
        ("prompt", None),
        ("n", 0),
        ("n", -1),
        ("n", 5),
        ("n", 2**63),
        ("seed", -1),
        ("seed", 2**32),
        ("size", "513x512"),
        ("size", "512X512"),
        ("size", ""),
        ("output_format", "webp"),
        ("output_format", "JPEG"),
        ("aspect_ratio", "16:9"),
        ("inputs", []),
        ("tenant_id", "ten_2"),
        ("price_credits", 0),
    ],
)
def test_what_is_outside_is_named_alone(field: str, value: object) -> None:
    assert bad_fields({"prompt": "x", field: value}) == [field]


def test_everything_that_is_wrong_is_named_at_once() -> None:
    wanted = {"prompt": "", "n": 9, "size": "x", "output_format": "x", "seed": -1, "zoom": 1, "blur": 1}

    assert bad_fields(wanted, {"k": "v" * 500}) == [
        "blur",
        "zoom",
        "prompt",
        "n",
        "size",
        "output_format",
        "seed",
        "metadata",
    ]


@pytest.mark.parametrize(
    "metadata", [{str(number): "" for number in range(17)}, {"key": "v" * 498}, {"k" * 501: ""}]
)
def test_metadata_over_its_limits_is_named(metadata: dict[str, str]) -> None:
    assert bad_fields({"prompt": "x"}, metadata) == ["metadata"]


def test_metadata_up_to_its_limits_is_kept() -> None:
    metadata = {f"{number:02}": "v" * 498 for number in range(16)}

    assert MODEL.request({"prompt": "x"}, metadata).metadata == metadata


def test_a_request_keeps_its_own_metadata() -> None:
    metadata = {"order": "7"}
    request = MODEL.request({"prompt": "x"}, metadata)
    metadata["order"] = "8"

    assert request.metadata == {"order": "7"}


def test_an_unknown_model_is_its_own_error() -> None:
    catalogue = Catalogue({"flux-dev": MODEL}, {})

    assert catalogue.model("flux-dev") is MODEL
    with pytest.raises(ModelNotFound):
        catalogue.model("flux-pro")


def test_a_size_is_two_numbers() -> None:
    assert pixels("1024x576") == (1024, 576)


@pytest.mark.parametrize(
    "size", ["", "x", "1x1", "0100x100", "100x100\n", "-10x10", "10x10x10", "\u0661\u0662x10"]
)
def test_anything_else_is_no_size(size: str) -> None:
    with pytest.raises(ValueError, match="is not WIDTHxHEIGHT"):
        pixels(size)
