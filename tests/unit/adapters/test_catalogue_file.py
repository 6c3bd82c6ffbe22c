"""models.toml: what is read from it, and every mistake in it that stops a process from starting."""

import tomllib
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from adapters.catalogue import load_catalogue
from domain.catalogue import Catalogue, ProviderPlan
from domain.errors import ModelNotFound
from domain.generation import Waits

WAITS = (
    "{ first_poll_seconds = 10, poll_factor = 1.5, longest_poll_seconds = 60, poll_jitter = 0.2, "
    "deadline_seconds = 600 }"
)
PROVIDERS = "[providers.fal]\nsubmits_per_second = 10.0\n[providers.other]\nsubmits_per_second = 0.5\n"
MODEL: dict[str, str] = {
    "title": '"A model"',
    "kind": '"text_to_image"',
    "provider": '"fal"',
    "endpoint": '"fal-ai/flux/dev"',
    "price_credits": "2",
    "largest_n": "4",
    "longest_prompt_characters": "100",
    "sizes": '["1024x1024", "512x512"]',
    "formats": '["jpeg", "png"]',
    "webhook": "true",
    "waits": WAITS,
}


def text(*, providers: str = PROVIDERS, name: str = "one", without: str = "", **changes: str) -> str:
    fields = {key: value for key, value in {**MODEL, **changes}.items() if key != without}
    return f"{providers}[models.{name}]\n" + "\n".join(f"{key} = {value}" for key, value in fields.items())


@pytest.fixture
def models_file(tmp_path: Path) -> Path:
    return tmp_path / "models.toml"


def load(path: Path, content: str, **options: Any) -> Catalogue:
    path.write_text(content)
    return load_catalogue(path, **{"providers": ("fal",), "queue_timeout_seconds": 3600.0, **options})


def test_a_model_is_read_as_it_is_written(models_file: Path) -> None:
    catalogue = load(models_file, text())
    model = catalogue.model("one")

    assert (model.id, model.provider, model.endpoint) == ("one", "fal", "fal-ai/flux/dev")
    assert (model.price_credits, model.largest_n, model.webhook) == (2, 4, True)
    assert (model.sizes, model.formats) == (("1024x1024", "512x512"), ("jpeg", "png"))
    assert model.waits == Waits(10, 1.5, 60, 0.2, 600, 3600)
    assert catalogue.providers == {"fal": ProviderPlan("fal", 10.0)}


def test_the_models_of_a_provider_that_is_off_are_off(models_file: Path) -> None:
    content = text() + "\n" + text(providers="", name="two", provider='"other"')
    with_one, with_both = (load(models_file, content, providers=on) for on in (("fal",), ("fal", "other")))

    assert (set(with_one.models), set(with_both.models)) == ({"one"}, {"one", "two"})
    assert set(with_both.providers) == {"fal", "other"}
    with pytest.raises(ModelNotFound):
        with_one.model("two")


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
def test_caps_shorten_waits_and_never_stretch_them(
    models_file: Path, caps: dict[str, float], deadline: float, first: float, longest: float
) -> None:
    waits = load(models_file, text(), **caps).model("one").waits

    assert (waits.deadline_seconds, waits.first_poll_seconds, waits.longest_poll_seconds) == (
        deadline,
        first,
        longest,
    )


@pytest.mark.parametrize("name", sorted(MODEL))
def test_a_missing_field_is_named(models_file: Path, name: str) -> None:
    with pytest.raises(ValidationError, match=rf"models\.one\.{name}\n"):
        load(models_file, text(without=name))


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("colour", '"red"'),
        ("title", '""'),
        ("title", '"' + "x" * 81 + '"'),
        ("kind", '"video"'),
        ("provider", '"nobody"'),
        ("provider", '"FAL"'),
        ("endpoint", '""'),
        ("price_credits", "-1"),
        ("price_credits", "1.5"),
        ("price_credits", "1000001"),
        ("largest_n", "0"),
        ("largest_n", "17"),
        ("longest_prompt_characters", "0"),
        ("sizes", "[]"),
        ("sizes", '["1024"]'),
        ("sizes", '["1024X1024"]'),
        ("sizes", '["0x1024"]'),
        ("sizes", '["1024x1024 "]'),
        ("sizes", '["100000x1024"]'),
        ("sizes", '["512x512", "big"]'),
        ("formats", "[]"),
        ("formats", '["gif"]'),
        ("formats", '["PNG"]'),
        ("webhook", '"sometimes"'),
        ("waits", WAITS.replace("first_poll_seconds = 10", "first_poll_seconds = 0")),
        ("waits", WAITS.replace("poll_factor = 1.5", "poll_factor = 0.9")),
        ("waits", WAITS.replace("poll_jitter = 0.2", "poll_jitter = 1.1")),
        ("waits", WAITS.replace("longest_poll_seconds = 60", "longest_poll_seconds = inf")),
        ("waits", WAITS.replace("deadline_seconds = 600", "deadline_seconds = nan")),
        ("waits", WAITS.replace("deadline_seconds = 600", "deadline_seconds = 86401")),
        ("waits", WAITS.replace("deadline_seconds = 600", "deadline_seconds = 600, patience = 1")),
    ],
)
def test_a_mistake_in_a_model_is_refused(models_file: Path, field: str, value: str) -> None:
    with pytest.raises(ValidationError, match=r"models"):
        load(models_file, text(**{field: value}))


@pytest.mark.parametrize(
    "content",
    [
        "",
        PROVIDERS,
        text(providers=""),
        text(name='"Upper"'),
        text(name='"with space"'),
        text(name=f'"{"x" * 65}"'),
        text(providers=PROVIDERS.replace("0.5", "0")),
        text(providers=PROVIDERS.replace("0.5", "1001")),
        text(providers=PROVIDERS + "burst = 5\n"),
        "extra = 1\n" + text(),
        "version = 0\n" + text(),
    ],
    ids=range(11),
)
def test_a_mistake_around_the_models_is_refused(models_file: Path, content: str) -> None:
    with pytest.raises(ValidationError):
        load(models_file, content)


@pytest.mark.parametrize("content", ["[models.one", text() + "\ntitle = 2", "\0"])
def test_a_file_that_is_no_toml_is_refused(models_file: Path, content: str) -> None:
    with pytest.raises(tomllib.TOMLDecodeError):
        load(models_file, content)


def test_the_catalogue_that_we_ship_is_right() -> None:
    shipped = Path(__file__).parents[3] / "models.toml"
    catalogue = load_catalogue(shipped, providers=("fal",), queue_timeout_seconds=1)

    assert {"flux-schnell", "flux-dev"} <= set(catalogue.models)
