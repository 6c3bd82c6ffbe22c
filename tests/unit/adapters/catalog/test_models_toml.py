"""models.toml: what is read from it, and every mistake in it that stops a process from starting."""

import tomllib
from pathlib import Path
from typing import Any

import pytest

from adapters.catalog.models_toml import load_catalog
from adapters.providers.spec import provider_specs
from domain.catalog import Catalog, ProviderLimits
from domain.charging import ChargePolicies
from domain.errors import ModelNotFound, ModelUnavailable
from domain.generation import TimingPolicy
from domain.model_schema import InputLimits

SHIPPED = Path(__file__).parents[4] / "models.toml"
TIMING = (
    "{ first_poll_seconds = 10, poll_factor = 1.5, max_poll_seconds = 60, poll_jitter = 0.2, "
    "deadline_seconds = 600 }"
)
PROVIDERS = (
    "[providers.fal]\nsubmits_per_second = 10.0\nmax_concurrent = 40\n"
    "[providers.other]\nsubmits_per_second = 0.5\nmax_concurrent = 1\n"
)
SHARED = (
    f"[timing]\nslow = {TIMING.replace('600', '900')}\n"
    '[schemas]\nfew = { type = "integer", minimum = 1, maximum = 2, default = 1 }\n'
)
PROMPT = '{ type = "string", minLength = 1, maxLength = 100 }'
N = '{ type = "integer", minimum = 1, maximum = 4, default = 1 }'
QUALITY = '{ enum = ["low", "high"], default = "low" }'
INPUTS = '{ max_images = 2, max_bytes = 1000, max_pixels = 100, content_types = ["image/png"] }'
MODEL: dict[str, str] = {
    "title": '"A model"',
    "kinds": '["text_to_image"]',
    "provider": '"fal"',
    "endpoint": '"fal-ai/flux/dev"',
    "parameters": f"{{ prompt = {PROMPT}, n = {N} }}",
    "price": "{ per_image = 2 }",
    "typical_seconds": "5",
    "webhook": "true",
    "timing": TIMING,
}


def text(*, before: str = PROVIDERS, name: str = "one", without: str = "", **changes: str) -> str:
    fields = {key: value for key, value in {**MODEL, **changes}.items() if key != without}
    return (
        f"{before}[models.{name}]\n" + "\n".join(f"{key} = {value}" for key, value in fields.items()) + "\n"
    )


def parameters(**more: str) -> str:
    given = {"prompt": PROMPT, "n": N, **more}
    return "{ " + ", ".join(f"{name} = {schema}" for name, schema in given.items() if schema) + " }"


@pytest.fixture
def models_file(tmp_path: Path) -> Path:
    return tmp_path / "models.toml"


def load(path: Path, content: str, **options: Any) -> Catalog:
    path.write_text(content)
    return load_catalog(path, **{"providers": ("fal",), "queue_timeout_seconds": 3600.0, **options})


def test_a_model_is_read_as_it_is_written(models_file: Path) -> None:
    catalog = load(models_file, text())
    model = catalog.get_model("one")

    assert (model.id, model.provider, model.endpoint) == ("one", "fal", "fal-ai/flux/dev")
    assert (model.kinds, model.price.per_image, model.webhook) == (("text_to_image",), 2, True)
    assert model.parameters["n"].schema == {"type": "integer", "minimum": 1, "maximum": 4, "default": 1}
    assert (model.inputs, model.fallback, model.charging) == (None, None, ChargePolicies())
    assert model.timing == TimingPolicy(10, 1.5, 60, 0.2, 600, 3600)
    assert catalog.providers == {"fal": ProviderLimits("fal", 10.0, 40)}


def test_timing_and_schemas_can_be_shared_by_name(models_file: Path) -> None:
    content = text(before=PROVIDERS + SHARED, parameters=parameters(n='"few"'), timing='"slow"')
    model = load(models_file, content).get_model("one")

    assert model.timing.deadline_seconds == 900
    assert model.parameters["n"].schema["maximum"] == 2


def test_limits_of_inputs_are_read_and_filled_in(models_file: Path) -> None:
    content = text(kinds='["text_to_image", "edit"]', inputs=INPUTS)
    model = load(models_file, content).get_model("one")

    assert model.inputs == InputLimits(0, 2, 1000, 2000, 100, 1, ("image/png",), "no", 1000)


def test_the_models_of_a_provider_that_is_off_are_listed_and_off(models_file: Path) -> None:
    content = text() + text(before="", name="two", provider='"other"')
    with_one, with_both = (load(models_file, content, providers=on) for on in (("fal",), ("fal", "other")))

    assert set(with_one.models) == set(with_both.models) == {"one", "two"}
    assert (set(with_one.providers), set(with_both.providers)) == ({"fal"}, {"fal", "other"})
    assert [with_one.is_available(model) for model in with_one.models.values()] == [True, False]
    with pytest.raises(ModelUnavailable):
        with_one.build_request("two", {"prompt": "x"}, {})
    with pytest.raises(ModelNotFound):
        with_one.build_request("three", {"prompt": "x"}, {})
    assert with_both.build_request("two", {"prompt": "x"}, {}).provider == "other"


@pytest.mark.parametrize(
    ("caps", "deadline", "first", "longest"),
    [
        ({}, 600, 10, 60),
        ({"deadline_cap_seconds": 20.0}, 20, 10, 60),
        ({"deadline_cap_seconds": 6000.0}, 600, 10, 60),
        ({"first_poll_cap_seconds": 2.0}, 600, 2, 8),
        ({"first_poll_cap_seconds": 12.0}, 600, 10, 48),
        ({"first_poll_cap_seconds": 100.0}, 600, 10, 60),
        ({"deadline_cap_seconds": 5.0, "first_poll_cap_seconds": 0.5}, 5, 0.5, 2),
    ],
)
def test_caps_shorten_the_timing_and_never_stretch_it(
    models_file: Path, caps: dict[str, float], deadline: float, first: float, longest: float
) -> None:
    timing = load(models_file, text(), **caps).get_model("one").timing

    assert (timing.deadline_seconds, timing.first_poll_seconds, timing.longest_poll_seconds) == (
        deadline,
        first,
        longest,
    )


@pytest.mark.parametrize("name", sorted(MODEL))
def test_a_missing_field_is_named(models_file: Path, name: str) -> None:
    with pytest.raises(ValueError, match=rf"models\.one\.{name}\n"):
        load(models_file, text(without=name))


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("color", '"red"'),
        ("title", '""'),
        ("title", '"' + "x" * 81 + '"'),
        ("kinds", "[]"),
        ("kinds", '["video"]'),
        ("provider", '"nobody"'),
        ("provider", '"FAL"'),
        ("endpoint", '""'),
        ("edit_endpoint", '""'),
        ("price", "{ per_image = -1 }"),
        ("price", "{ per_image = 1.5 }"),
        ("price", "{ per_image = 1000001 }"),
        ("price", "{ per_image = 1, per_pixel = 2 }"),
        ("webhook", '"sometimes"'),
        ("typical_seconds", "0"),
        ("moderation", '"keep"'),
        ("timing", '"slow"'),
        ("timing", TIMING.replace("first_poll_seconds = 10", "first_poll_seconds = 0")),
        ("timing", TIMING.replace("poll_factor = 1.5", "poll_factor = 0.9")),
        ("timing", TIMING.replace("poll_jitter = 0.2", "poll_jitter = 1.1")),
        ("timing", TIMING.replace("max_poll_seconds = 60", "max_poll_seconds = inf")),
        ("timing", TIMING.replace("deadline_seconds = 600", "deadline_seconds = nan")),
        ("timing", TIMING.replace("deadline_seconds = 600", "deadline_seconds = 86401")),
        ("timing", TIMING.replace("deadline_seconds = 600", "deadline_seconds = 600, extra = 1")),
    ],
)
def test_a_mistake_in_a_model_is_refused(models_file: Path, field: str, value: str) -> None:
    with pytest.raises(ValueError, match="models"):
        load(models_file, text(**{field: value}))


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"prompt": ""}, "prompt and n are needed"),
        ({"n": ""}, "prompt and n are needed"),
        ({"zoom": N}, "zoom"),
        ({"size": '"missing"'}, r"no schemas\.missing"),
        ({"prompt": N}, "prompt: a string"),
        ({"n": QUALITY}, "n: a whole number within 1 to 16"),
        ({"n": N.replace("minimum = 1", "minimum = 0")}, "n: a whole number within 1 to 16"),
        ({"n": N.replace("maximum = 4", "maximum = 17")}, "n: a whole number within 1 to 16"),
        ({"n": N.replace(", default = 1", "")}, "n: a default is needed"),
        ({"n": N.replace("default = 1", "default = 5")}, "n: its default is not"),
        ({"seed": '{ type = "whole" }'}, "seed: no JSON Schema"),
        ({"seed": '{ type = "integer", maxmum = 4 }'}, r"seed: unknown keywords \['maxmum'\]"),
        ({"size": "{ imageSize = { multiple_of = 16 } }"}, "min_edge_pixels"),
        ({"size": '{ anyOf = [{ enum = ["auto"] }, { form = 1 }] }'}, r"size\.1: unknown keywords"),
        ({"options": '{ type = "object", properties = {} }'}, "additionalProperties"),
    ],
)
def test_a_mistake_in_a_parameter_is_refused(
    models_file: Path, changed: dict[str, str], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        load(models_file, text(parameters=parameters(**changed)))


@pytest.mark.parametrize(
    ("price", "message"),
    [
        ("{ per_megapixel = true }", "needs the parameter size"),
        ("{ steps = { low = 1, high = 2 } }", "steps need by"),
        ('{ by = "resolution", steps = { 1K = 1 } }', "resolution is no parameter"),
        ('{ by = "seed", steps = { 1K = 1 } }', "seed is no parameter with a default"),
        ('{ by = "quality", steps = { low = 1 } }', "exactly the values of quality"),
        ('{ by = "quality", steps = { low = 1, high = 2, best = 3 } }', "exactly the values of quality"),
        ('{ by = "n", steps = { one = 1 } }', "exactly the values of n"),
        ("{ per_image = 1, per_partial_image = 1 }", "belongs to the parameter partial_images"),
    ],
)
def test_a_price_that_is_not_there_for_every_request_is_refused(
    models_file: Path, price: str, message: str
) -> None:
    known = parameters(quality=QUALITY, seed='{ type = "integer" }')

    with pytest.raises(ValueError, match=message):
        load(models_file, text(parameters=known, price=price))


@pytest.mark.parametrize(
    "changes",
    [
        {"kinds": '["edit"]'},
        {"inputs": INPUTS},
        {"kinds": '["edit"]', "inputs": INPUTS},
        {"kinds": '["text_to_image", "edit"]', "inputs": INPUTS.replace("{ ", "{ min_images = 1, ")},
        {"kinds": '["edit"]', "inputs": INPUTS.replace("{ ", "{ min_images = 3, ")},
        {"kinds": '["edit"]', "inputs": INPUTS.replace("{ ", '{ min_images = 1, mask = "maybe", ')},
        {
            "kinds": '["edit"]',
            "inputs": INPUTS.replace("image/png", "image/gif").replace("{ ", "{ min_images = 1, "),
        },
        {"kinds": '["edit"]', "inputs": INPUTS.replace("max_images = 2", "min_images = 1, max_images = 17")},
    ],
    ids=range(8),
)
def test_inputs_that_do_not_fit_the_kinds_are_refused(models_file: Path, changes: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="models"):
        load(models_file, text(**changes))


@pytest.mark.parametrize(("fallback", "message"), [("three", "is no model"), ("two", "on the same provider")])
def test_a_fallback_that_is_none_is_refused(models_file: Path, fallback: str, message: str) -> None:
    content = text(fallback=f'"{fallback}"') + text(before="", name="two")

    with pytest.raises(ValueError, match=message):
        load(models_file, content)


@pytest.mark.parametrize(
    "content",
    [
        "",
        PROVIDERS,
        text(before=""),
        text(name='"Upper"'),
        text(name='"with space"'),
        text(name=f'"{"x" * 65}"'),
        text(before=PROVIDERS.replace("0.5", "0")),
        text(before=PROVIDERS.replace("0.5", "1001")),
        text(before=PROVIDERS.replace("max_concurrent = 1\n", "")),
        text(before=PROVIDERS.replace("max_concurrent = 1\n", "max_concurrent = 0\n")),
        text(before=PROVIDERS + "burst = 5\n"),
        "extra = 1\n" + text(),
        "version = 0\n" + text(),
    ],
    ids=range(13),
)
def test_a_mistake_around_the_models_is_refused(models_file: Path, content: str) -> None:
    with pytest.raises(ValueError, match="validation error"):
        load(models_file, content)


@pytest.mark.parametrize("content", ["[models.one", text() + "\ntitle = 2", "\0"])
def test_a_file_that_is_no_toml_is_refused(models_file: Path, content: str) -> None:
    with pytest.raises(tomllib.TOMLDecodeError):
        load(models_file, content)


def test_the_catalog_that_we_ship_has_each_provider_and_each_kind() -> None:
    catalog = load_catalog(SHIPPED, providers=("fal",), queue_timeout_seconds=1)
    models = catalog.models.values()

    assert {"flux-schnell", "flux-2-pro", "gpt-image-2", "nano-banana-2", "flux-fill"} <= set(catalog.models)
    assert {model.provider for model in models} == {spec.name for spec in provider_specs()}
    assert {kind for model in models for kind in model.kinds} == {"text_to_image", "edit", "reference"}


def test_what_we_ship_sends_no_more_in_one_request_than_there_is_time_for() -> None:
    models = load_catalog(SHIPPED, providers=("fal",), queue_timeout_seconds=1).models.values()
    jobs = [model for model in models if model.provider in ("fal", "bfl") and model.inputs is not None]
    several = [model for model in jobs if model.inputs is not None and model.inputs.max_images > 1]

    assert {model.provider for model in several} == {"fal", "bfl"}
    assert {model.inputs.max_total_bytes for model in several if model.inputs} == {40_000_000}
    assert {model.timing.submit_timeout_seconds for model in jobs} == {180}
