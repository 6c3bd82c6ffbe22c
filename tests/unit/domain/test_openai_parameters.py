"""OpenAI's parameters in the words of every model of the catalog."""

from pathlib import Path
from typing import Any

import pytest

from adapters.catalog.models_toml import load_catalog
from domain.errors import InvalidInput
from domain.generation import GenerationRequest
from domain.model import Model
from domain.openai_parameters import DEFAULT_MODEL, model_parameters
from tests.support.small_models import stored

MODELS = load_catalog(Path(__file__).parents[3] / "models.toml", providers={}, queue_timeout_seconds=1).models
GPT_IMAGES = [name for name in MODELS if name.startswith("gpt-image")]
LEFT_TO_THE_MODEL = dict.fromkeys(("size", "quality", "background", "moderation"), "auto")


def built(model: Model, **asked: Any) -> GenerationRequest:
    """Build the request that a model gets; with images, where it needs some."""
    files = [stored(width=512, height=512)] if model.inputs is not None and model.inputs.min_images else []
    needs_mask = model.inputs is not None and model.inputs.mask == "required"
    parameters = model_parameters(model, {"prompt": "a boat", **asked})
    return model.build_request(
        parameters, {}, files, stored(width=512, height=512, has_alpha=True) if needs_mask else None
    )


@pytest.mark.parametrize("model", MODELS.values(), ids=list(MODELS))
def test_every_model_makes_one_image_of_a_prompt(model: Model) -> None:
    request = built(model)

    assert (request.prompt, request.n) == ("a boat", 1)
    takes_png = "output_format" in model.parameters and not model.parameters["output_format"].violations(
        "png"
    )
    assert request.parameters.get("output_format") == ("png" if takes_png else None)


@pytest.mark.parametrize("model", MODELS.values(), ids=list(MODELS))
def test_every_model_can_choose_for_itself(model: Model) -> None:
    assert built(model, **LEFT_TO_THE_MODEL).parameters.items() >= built(model).parameters.items()


@pytest.mark.parametrize("name", GPT_IMAGES)
def test_what_is_left_out_of_openais_models_is_openais_default(name: str) -> None:
    parameters = dict(built(MODELS[name]).parameters)

    auto = dict.fromkeys(("size", "quality", "background"), "auto")
    assert parameters == {"n": 1, "output_format": "png", **auto}


def test_a_request_without_a_model_has_one() -> None:
    assert DEFAULT_MODEL in MODELS


def test_options_of_the_provider_are_parameters_here() -> None:
    request = built(MODELS["gpt-image-2"], moderation="low", output_compression=40, output_format="webp")

    assert request.parameters["options"] == {"moderation": "low", "output_compression": 40}


def test_a_models_own_parameters_pass() -> None:
    request = built(MODELS["nano-banana-2"], aspect_ratio="16:9", resolution="2K", seed=7)

    assert request.parameters.items() >= {"aspect_ratio": "16:9", "resolution": "2K", "seed": 7}.items()


@pytest.mark.parametrize(
    ("name", "size", "expected"),
    [
        ("nano-banana-2", "1024x1024", {"aspect_ratio": "1:1", "resolution": "1K"}),
        ("nano-banana-pro", "4096x4096", {"aspect_ratio": "1:1", "resolution": "4K"}),
        ("replicate-flux-schnell", "1024x1024", {"aspect_ratio": "1:1"}),
        ("flux-2-pro", "1536x1024", {"size": "1536x1024"}),
    ],
)
def test_a_size_that_a_model_has_by_another_name(name: str, size: str, expected: dict[str, str]) -> None:
    parameters = built(MODELS[name], size=size).parameters

    assert {name: value for name, value in parameters.items() if name in expected} == expected
    assert ("size" in parameters) == ("size" in expected)


@pytest.mark.parametrize(
    ("name", "asked", "field"),
    [
        ("nano-banana-2", {"size": "1536x1024"}, "size"),
        ("replicate-flux-schnell", {"size": "2048x2048"}, "size"),
        ("nano-banana-2", {"size": "1024x1024", "aspect_ratio": "1:1"}, "size"),
        ("flux-fill", {"size": "1024x1024"}, "size"),
        ("nano-banana-2", {"output_format": "png"}, "output_format"),
        ("flux-2-pro", {"n": 2}, "n"),
        ("flux-2-pro", {"moderation": "low"}, "moderation"),
        ("gpt-image-2", {"style": "vivid"}, "style"),
        ("gpt-image-2", {"output_compression": 101}, "options.output_compression"),
        ("gpt-image-1.5", {"input_fidelity": "high"}, "input_fidelity"),
        ("gpt-image-1.5", {"options": "many"}, "options"),
    ],
)
def test_what_a_model_cannot_do_is_named(name: str, asked: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        built(MODELS[name], **asked)

    assert field in [each for each, _ in caught.value.errors]
