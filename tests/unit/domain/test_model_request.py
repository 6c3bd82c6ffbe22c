"""A model accepts what its schema allows, and names everything else."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from adapters.catalog.models_toml import load_catalog
from adapters.providers.spec import provider_specs
from domain.catalog import Catalog, pixels
from domain.controls import Controls
from domain.errors import InvalidInput, ModelNotFound
from domain.generation import Fallback, GenerationRequest
from domain.input_files import InputFile
from tests.support.requests import NOW
from tests.support.small_models import small_catalog, stored

Request = dict[str, Any]
PROVIDERS = tuple(spec.name for spec in provider_specs())
SHIPPED = load_catalog(
    Path(__file__).parents[3] / "models.toml", providers=PROVIDERS, queue_timeout_seconds=1
)


@pytest.fixture(scope="module")
def catalog() -> Catalog:
    return small_catalog()


def errors_of(
    catalog: Catalog,
    wanted: Request,
    metadata: dict[str, str] | None = None,
    files: tuple[InputFile, ...] = (),
    mask: InputFile | None = None,
    model: str = "maker",
) -> dict[str, str]:
    with pytest.raises(InvalidInput) as caught:
        catalog.build_request(model, wanted, metadata or {}, files, mask)
    assert len(dict(caught.value.errors)) == len(caught.value.errors)
    return dict(caught.value.errors)


def test_a_prompt_is_all_that_is_needed(catalog: Catalog) -> None:
    assert catalog.get_model("maker").build_request({"prompt": "a fox"}, {}) == GenerationRequest(
        model="maker",
        provider="fal",
        endpoint="maker/1",
        prompt="a fox",
        parameters={"n": 1, "size": "1024x1024", "output_format": "jpeg"},
        n=1,
        price_credits=3,
        metadata={},
    )


def test_what_is_given_goes_before_the_defaults(catalog: Catalog) -> None:
    wanted = {"prompt": "a fox", "n": 4, "size": "512x512", "output_format": "png", "seed": 0}
    request = catalog.build_request("maker", wanted, {"order": "7"})

    assert request.parameters == {"n": 4, "size": "512x512", "output_format": "png", "seed": 0}
    assert (request.n, request.price_credits, request.metadata) == (4, 12, {"order": "7"})


def test_none_means_not_given(catalog: Catalog) -> None:
    fields = ("n", "size", "seed", "output_format", "aspect_ratio", "options")

    with_none = catalog.build_request("maker", {"prompt": "x", **dict.fromkeys(fields)}, {})
    assert with_none == catalog.build_request("maker", {"prompt": "x"}, {})


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
def test_a_limit_is_inside(catalog: Catalog, field: str, value: object) -> None:
    assert catalog.build_request("maker", {"prompt": "x", field: value}, {}).model == "maker"


@pytest.mark.parametrize(
    ("field", "value", "limit"),
    [
        ("prompt", "", "1 to 20 characters"),
        ("prompt", " \n\t\u3000", "1 to 20 characters"),
        ("prompt", "x" * 21, "1 to 20 characters"),
        ("prompt", None, "is needed"),
        ("n", 0, "a whole number from 1 to 4"),
        ("n", True, "a whole number from 1 to 4"),
        ("n", 5, "a whole number from 1 to 4"),
        ("n", 2**63, "a whole number from 1 to 4"),
        ("seed", -1, "a whole number from 0 to 4294967295"),
        ("seed", 2**32, "a whole number from 0 to 4294967295"),
        ("size", "513x512", "one of 1024x1024, 512x512"),
        ("size", "", "one of 1024x1024, 512x512"),
        ("output_format", "JPEG", "one of jpeg, png"),
        ("aspect_ratio", "16:9", "maker does not take this parameter"),
        ("options", {}, "maker does not take this parameter"),
        ("price_credits", 0, "maker does not take this parameter"),
    ],
)
def test_what_is_outside_is_named_alone_with_its_limit(
    catalog: Catalog, field: str, value: object, limit: str
) -> None:
    assert errors_of(catalog, {"prompt": "x", field: value}) == {field: limit}


@pytest.mark.parametrize("size", ["64x64", "3840x2160", "96x256", "auto"])
def test_a_free_size_is_taken_up_to_its_bounds(catalog: Catalog, size: str) -> None:
    assert catalog.build_request("painter", {"prompt": "x", "size": size}, {}).parameters["size"] == size


@pytest.mark.parametrize(
    "size", ["48x64", "3856x2160", "3840x2176", "100x100", "64x256", "AUTO", "64X64", "1e3x64", "64x64\n"]
)
def test_a_free_size_out_of_bounds_is_refused_with_all_bounds(catalog: Catalog, size: str) -> None:
    assert errors_of(catalog, {"prompt": "x", "size": size}, model="painter") == {
        "size": "one of auto, or WIDTHxHEIGHT, both a multiple of 16 from 64 to 3840, "
        "at most 8294400 pixels, one side at most 3 times the other"
    }


@pytest.mark.parametrize(
    ("options", "errors"),
    [
        ({"guidance": 1}, {"options.guidance": "1.5 to 10"}),
        ({"upsample": 1}, {"options.upsample": "true or false"}),
        ({"secret-words": 1}, {"options": "takes only guidance, upsample"}),
        (
            {"guidance": "2", "upsample": "no"},
            {"options.guidance": "1.5 to 10", "options.upsample": "true or false"},
        ),
    ],
)
def test_an_option_is_named_with_its_limit_and_never_repeated(
    catalog: Catalog, options: Request, errors: dict[str, str]
) -> None:
    assert errors_of(catalog, {"prompt": "x", "options": options}, model="painter") == errors


def test_a_transparent_jpeg_is_refused(catalog: Catalog) -> None:
    wanted = {"prompt": "x", "background": "transparent"}

    assert list(errors_of(catalog, wanted, model="painter")) == ["background"]
    assert catalog.build_request("painter", wanted | {"output_format": "png"}, {}).parameters["background"]


def test_everything_that_is_wrong_is_named_at_once(catalog: Catalog) -> None:
    wanted = {"prompt": "", "n": 9, "size": "x", "output_format": "x", "seed": -1, "zoom": 1, "blur": 1}

    assert list(errors_of(catalog, wanted, {"k": "v" * 500}, files=(stored(),), mask=stored())) == [
        "blur", "zoom", "prompt", "n", "size", "seed", "output_format", "metadata", "inputs", "mask",
    ]  # fmt: skip


@pytest.mark.parametrize(
    "metadata", [{str(number): "" for number in range(17)}, {"key": "v" * 498}, {"k" * 501: ""}]
)
def test_metadata_over_its_limits_is_named(catalog: Catalog, metadata: dict[str, str]) -> None:
    assert list(errors_of(catalog, {"prompt": "x"}, metadata)) == ["metadata"]


def test_metadata_up_to_its_limits_is_stored_as_a_copy(catalog: Catalog) -> None:
    metadata = {f"{number:02}": "v" * 498 for number in range(16)}
    request = catalog.build_request("maker", {"prompt": "x"}, metadata)
    kept = dict(metadata)
    metadata["00"] = "changed"

    assert request.metadata == kept


@pytest.mark.parametrize(
    ("wanted", "price"),
    [
        ({}, 4),
        ({"quality": "high"}, 12),
        ({"size": "1024x1024"}, 2),
        ({"size": "1024x1040"}, 4),
        ({"size": "3840x2160", "quality": "high", "n": 3}, 144),
        ({"size": "64x64", "n": 4}, 8),
    ],
)
def test_the_price_follows_from_what_is_asked(catalog: Catalog, wanted: Request, price: int) -> None:
    assert catalog.build_request("painter", {"prompt": "x", **wanted}, {}).price_credits == price


def test_a_fallback_takes_the_same_with_the_first_ones_defaults(catalog: Catalog) -> None:
    fallback = catalog.build_request("maker", {"prompt": "x", "n": 2}, {"order": "7"}).fallback

    assert fallback is not None
    assert (fallback.model, fallback.provider, fallback.n, fallback.metadata) == (
        "stand-in",
        "other",
        2,
        {"order": "7"},
    )
    assert fallback.parameters == {"n": 2, "size": "1024x1024", "output_format": "jpeg"}
    assert fallback.fallback is None


def test_a_fallback_that_does_not_take_the_same_is_none(catalog: Catalog) -> None:
    assert catalog.build_request("maker", {"prompt": "x", "seed": 1}, {}).fallback is None


def test_a_fallback_that_is_off_is_none(catalog: Catalog) -> None:
    assert catalog.build_request("stand-in", {"prompt": "x"}, {}).fallback is None


def test_a_workflow_gets_the_waits_of_both_models(catalog: Catalog) -> None:
    request = catalog.build_request("maker", {"prompt": "x"}, {})
    job = catalog.workflow_input("gen_1", "ten_1", request, NOW)
    waits = catalog.get_model("maker").timing

    assert (job.generation_id, job.tenant_id, job.model, job.provider) == ("gen_1", "ten_1", "maker", "fal")
    assert (job.waits, job.fallback) == (waits, Fallback("stand-in", "other", waits))
    assert not job.checks_input


def test_a_workflow_gets_the_times_that_its_client_has_set(catalog: Catalog) -> None:
    request = catalog.build_request("maker", {"prompt": "x"}, {})
    without = catalog.workflow_input("gen_1", "ten_1", request, NOW)
    timed = replace(request, controls=Controls(cancel_after_seconds=90, start_within_seconds=10))
    job = catalog.workflow_input("gen_1", "ten_1", timed, NOW)

    assert (without.cancel_at, without.start_by) == (None, None)
    assert (job.cancel_at, job.start_by) == ("2026-01-15T12:01:30+00:00", "2026-01-15T12:00:10+00:00")


def test_a_workflow_of_a_model_that_is_gone_gets_cautious_waits(catalog: Catalog) -> None:
    request = catalog.build_request("maker", {"prompt": "x"}, {})
    without = Catalog({}, {}, checks_input=True).workflow_input("gen_1", "ten_1", request, NOW)

    assert without.waits.deadline_seconds >= 600
    assert without.waits.submit_timeout_seconds >= 600
    assert without.checks_input


@pytest.mark.parametrize("model_id", SHIPPED.models)
def test_every_model_that_we_ship_takes_a_prompt_and_as_many_images_as_it_says(model_id: str) -> None:
    limits = SHIPPED.get_model(model_id).inputs
    for count in {limits.min_images, limits.max_images} if limits else {0}:
        files = tuple(stored(f"file_{index}", width=512, height=512) for index in range(count))
        mask = stored("mask", width=512, height=512, has_alpha=True)
        masks = mask if limits and count and limits.mask != "no" else None
        request = SHIPPED.build_request(model_id, {"prompt": "a fox"}, {}, files, masks)

        assert request.price_credits > 0
        assert len(request.inputs) == count
        assert request.fallback is None or request.fallback.provider != request.provider


@pytest.mark.parametrize(
    "model_id", [model.id for model in SHIPPED.models.values() if model.fallback is not None]
)
def test_every_fallback_that_we_ship_is_taken_by_a_plain_request(model_id: str) -> None:
    limits = SHIPPED.get_model(model_id).inputs
    files = [stored(width=512, height=512)] * (limits.min_images if limits else 0)

    assert SHIPPED.build_request(model_id, {"prompt": "a fox"}, {}, files).fallback is not None


def test_an_unknown_model_is_its_own_error(catalog: Catalog) -> None:
    with pytest.raises(ModelNotFound):
        catalog.get_model("flux-pro")


def test_a_size_is_two_numbers() -> None:
    assert pixels("1024x576") == (1024, 576)


@pytest.mark.parametrize(
    "size", ["", "x", "1x1", "0100x100", "100x100\n", "-10x10", "10x10x10", "\u0661\u0662x10"]
)
def test_anything_else_is_no_size(size: str) -> None:
    with pytest.raises(ValueError, match="is not WIDTHxHEIGHT"):
        pixels(size)
