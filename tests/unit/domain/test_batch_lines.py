"""Lines of a batch's file: items, or errors that name line and field."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from adapters.catalog.models_toml import load_catalog
from api.http.schemas.generations import GenerationCreate
from domain.batch_items import FILE_IDS_ONLY, read_item
from domain.batch_lines import MAX_LINE_BYTES, CatalogLineParser, ItemNames
from domain.batches import MAX_CUSTOM_ID_CHARACTERS, BatchItemDraft, LineError
from domain.controls import Controls, Priority
from domain.errors import InvalidInput

_ROOT = Path(__file__).parents[3]
CATALOG = load_catalog(
    _ROOT / "models.toml", providers=("fal", "openai", "bfl", "replicate"), queue_timeout_seconds=1
)
PARSE = CatalogLineParser(CATALOG)
OURS, IMAGES, EDITS = "/v1/generations", "/v1/images/generations", "/v1/images/edits"
BODY = {"model": "flux-schnell", "prompt": "a boat"}
FILE = "file_0a1b"


def line_of(body: object = BODY, url: str = OURS, **others: object) -> str:
    return json.dumps({"custom_id": "a", "method": "POST", "url": url, "body": body, **others})


def item_of(text: str, endpoint: str = OURS) -> BatchItemDraft:
    found = PARSE(text, 3, endpoint)
    assert isinstance(found, BatchItemDraft), found
    return found


def errors_of(text: str, endpoint: str = OURS, line: int = 3) -> list[tuple[str, str]]:
    found = PARSE(text, line, endpoint)
    assert not isinstance(found, BatchItemDraft)
    assert found
    assert {error.line for error in found} == {line}
    return [(error.field, error.text) for error in found]


def fields_of(text: str, endpoint: str = OURS) -> list[str]:
    return [field for field, _ in errors_of(text, endpoint)]


def test_a_line_in_our_form_is_an_item() -> None:
    body = BODY | {
        "n": 2,
        "metadata": {"a": "b"},
        "priority": "high",
        "expires_in": 60,
        "store_prompt": False,
    }
    item = item_of(line_of(body, idempotency_key="k"))

    assert (item.index, item.custom_id, item.idempotency_key, item.price_credits) == (2, "a", "k", 2)
    assert item.request.parameters == {"prompt": "a boat", "n": 2}
    assert item.request.metadata == {"a": "b"}
    assert item.request.controls == Controls(
        image_lifetime_seconds=60, keeps_prompt=False, priority=Priority.HIGH
    )


def test_a_line_in_openais_form_asks_for_the_models_parameters() -> None:
    item = item_of(line_of({"prompt": "a boat", "n": 1, "user": "u-1"}, IMAGES), IMAGES)

    assert item.request.model == "gpt-image-1.5"
    assert item.request.parameters["size"] == "auto"
    assert (item.request.metadata, item.request.inputs) == ({"user": "u-1"}, ())


def test_an_edit_names_its_files() -> None:
    body = {"prompt": "in winter", "images": [{"file_id": FILE}], "mask": {"file_id": "file_2"}}
    item = item_of(line_of(body, EDITS), EDITS)

    assert (item.request.inputs, item.request.mask) == ((FILE,), "file_2")


def test_a_byte_order_mark_before_the_first_line_is_no_matter() -> None:
    assert isinstance(PARSE("\ufeff" + line_of(), 1, OURS), BatchItemDraft)
    assert errors_of("\ufeff" + line_of(), line=2) == [("", "one JSON object")]


@pytest.mark.parametrize(
    ("text", "limit"),
    [
        ("", "is blank"),
        (" \t\r", "is blank"),
        ("{", "one JSON object"),
        ("[]", "one JSON object"),
        ("null", "one JSON object"),
        (line_of() + line_of(), "one JSON object"),
        ("[" * 50_000, "one JSON object"),
        ("1" * 5000, "one JSON object"),
        (line_of(BODY | {"prompt": "x" * MAX_LINE_BYTES}), f"at most {MAX_LINE_BYTES} bytes"),
        (line_of(BODY | {"prompt": "é" * 40_000}).replace("\\u00e9", "é"), f"at most {MAX_LINE_BYTES} bytes"),
    ],
    ids=range(10),
)
def test_what_is_no_line_is_refused_as_a_whole(text: str, limit: str) -> None:
    assert errors_of(text) == [("", limit)]


@pytest.mark.parametrize(
    ("text", "fields"),
    [
        (line_of(custom_id=None), ["custom_id"]),
        (line_of(custom_id=""), ["custom_id"]),
        (line_of(custom_id=1), ["custom_id"]),
        (line_of(custom_id="x" * (MAX_CUSTOM_ID_CHARACTERS + 1)), ["custom_id"]),
        (line_of(custom_id="\0"), ["custom_id"]),
        (line_of(method="GET"), ["method"]),
        (line_of(url=IMAGES), ["url"]),
        (line_of(url="/v1/chat/completions"), ["url"]),
        (line_of([]), ["body"]),
        (line_of(params={}), ["params"]),
        (line_of(idempotency_key=" k"), ["idempotency_key"]),
        (line_of({}), ["body.model", "body.prompt"]),
        (line_of({"model": "no-such", "prompt": "a"}), ["body.model"]),
        (line_of(BODY | {"n": 99}), ["body.n"]),
        (line_of(BODY | {"n": "2"}), ["body.n"]),
        (line_of(BODY | {"prompt": ""}), ["body.prompt"]),
        (line_of(BODY | {"prompt": "\ud800"}), ["body.prompt"]),
        (line_of(BODY | {"size": ["512x512"]}), ["body.size"]),
        (line_of(BODY | {"custom": 1}), ["body.custom"]),
        (line_of(BODY | {"quality": "high"}), ["body.quality"]),
        (line_of(BODY | {"seed": 2**70}), ["body.seed"]),
        (line_of(BODY | {"seed": float("inf")}), ["body.seed"]),
        (line_of(BODY | {"inputs": ["https://example.com/a.png"]}), ["body.inputs.0"]),
        (line_of(BODY | {"mask": "data:image/png;base64,"}), ["body.mask"]),
        (line_of(BODY | {"max_cost": 0}), ["body.max_cost"]),
        (line_of(BODY | {"priority": "urgent", "expires_in": 1}), ["body.priority", "body.expires_in"]),
        (line_of(BODY | {"webhook_events": ["generation.failed"]}), ["body.webhook_events"]),
        (line_of(BODY | {"webhook_url": "http://example.com"}), ["body.webhook_url"]),
        (line_of(BODY | {"metadata": {"a": 1}}), ["body.metadata"]),
    ],
)
def test_each_field_that_is_wrong_is_named(text: str, fields: list[str]) -> None:
    assert fields_of(text) == fields


@pytest.mark.parametrize(
    ("body", "endpoint", "fields"),
    [
        ({"prompt": "a", "stream": True}, IMAGES, ["body.stream"]),
        ({"prompt": "a", "partial_images": 1}, IMAGES, ["body.partial_images"]),
        ({"prompt": "a", "response_format": "png"}, IMAGES, ["body.response_format"]),
        ({"prompt": "a", "size": {}}, IMAGES, ["body.size"]),
        ({"prompt": "a", "user": 1}, IMAGES, ["body.user"]),
        ({"prompt": "a", "images": [{"file_id": FILE}]}, IMAGES, ["body.images"]),
        ({"n": 1}, IMAGES, ["body.prompt"]),
        ({"prompt": "a"}, EDITS, ["body.images"]),
        ({"prompt": "a", "images": []}, EDITS, ["body.images"]),
        ({"prompt": "a", "images": [{"image_url": "https://a.example/a.png"}]}, EDITS, ["body.images.0"]),
        ({"prompt": "a", "images": [{"file_id": "FILE"}]}, EDITS, ["body.images.0.file_id"]),
        ({"prompt": "a", "images": [{"file_id": FILE}], "mask": 1}, EDITS, ["body.mask"]),
        ({str(name): 1 for name in range(60)}, IMAGES, ["body.body"]),
    ],
)
def test_openais_form_is_checked_too(body: object, endpoint: str, fields: list[str]) -> None:
    assert fields_of(line_of(body, endpoint), endpoint) == fields


def test_a_number_that_no_database_takes_is_refused_wherever_it_is() -> None:
    with pytest.raises(InvalidInput) as caught:
        read_item(BODY | {"options": {"guidance": float("inf")}})
    assert caught.value.errors == (("options", "a finite number"),)


def test_an_image_that_is_no_file_says_what_a_batch_takes() -> None:
    assert errors_of(line_of(BODY | {"inputs": ["data:x"]})) == [("body.inputs.0", FILE_IDS_ONLY)]


def test_a_price_over_the_items_own_limit_is_named_by_its_code() -> None:
    [error] = _errors(PARSE(line_of(BODY | {"max_cost": 0}), 1, OURS))
    assert (error.code, error.text) == ("max_cost_exceeded", "it costs 1 credits, and max_cost is 0")


def test_two_items_have_no_name_in_common() -> None:
    names = ItemNames()
    first = PARSE(line_of(idempotency_key="k"), 1, OURS)
    other = PARSE(line_of(custom_id="b", idempotency_key="k"), 2, OURS)
    same = PARSE(line_of(), 3, OURS)
    found = [names.repeats(item) for item in (first, other, same) if isinstance(item, BatchItemDraft)]

    assert found == [[], [("idempotency_key", 0)], [("custom_id", 0)]]


def _errors(found: BatchItemDraft | Sequence[LineError]) -> Sequence[LineError]:
    assert not isinstance(found, BatchItemDraft)
    return found


_NAMES = ("model", "prompt", "n", "size", "seed", "options", "inputs", "images", "mask", "metadata", "stream",
          "priority", "expires_in", "max_cost", "webhook_url", "webhook_events", "user", "quality",
          "output_format", "background", "aspect_ratio", "moderation", "response_format")  # fmt: skip
_JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text()
    | st.sampled_from(["auto", FILE, "1K"]),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text() | st.just("file_id"), inner, max_size=3)
    ),
    max_leaves=8,
)
_MODELS = st.sampled_from(sorted(CATALOG.models))
_BODIES = st.dictionaries(st.sampled_from(_NAMES) | st.text(), _JSON, max_size=6) | st.builds(
    lambda body, model: {**body, "model": model, "prompt": "a boat"},
    st.dictionaries(st.sampled_from(_NAMES), _JSON, max_size=4),
    _MODELS,
)


@given(content=st.binary(max_size=200), endpoint=st.sampled_from([OURS, IMAGES, EDITS]))
def test_any_bytes_are_an_item_or_errors(content: bytes, endpoint: str) -> None:
    found = PARSE(content.decode(errors="surrogateescape"), 1, endpoint)
    assert isinstance(found, BatchItemDraft) or len(found) > 0


@given(body=_BODIES, endpoint=st.sampled_from([OURS, IMAGES, EDITS]), other=st.text() | st.none())
def test_any_body_is_an_item_that_can_be_stored_or_errors(
    body: Any, endpoint: str, other: str | None
) -> None:
    found = PARSE(line_of(body, endpoint, custom_id=other), 1, endpoint)
    if isinstance(found, BatchItemDraft):
        kept = json.dumps([found.custom_id, dict(found.request.parameters), dict(found.request.metadata)])
        assert "\\u0000" not in kept
        assert "Infinity" not in kept
        assert found.price_credits >= 0
        assert found.request.digest()
    else:
        assert 0 < len(found) <= 20
        assert json.dumps([error.field + error.text for error in found]).isascii()


@given(body=_BODIES)
def test_what_a_line_takes_is_what_the_route_takes(body: dict[str, Any]) -> None:
    """What both take means the same to both; a line refuses nothing more than images that are no files."""
    body.pop("webhook_url", None)
    try:
        asked = GenerationCreate.model_validate(json.loads(json.dumps(body)))
    except (ValidationError, ValueError):
        asked = None
    try:
        item = read_item(json.loads(json.dumps(body)))
    except InvalidInput as error:
        texts = [text for _, text in error.errors]
        assert asked is None or all(
            text == FILE_IDS_ONLY or "webhook" in text or "each one" in text for text in texts
        )
        return
    if asked is not None:
        given_parameters = {name: value for name, value in asked.parameters().items() if value is not None}
        assert item.parameters == given_parameters
        assert item.controls == asked.controls(None, None)
        assert (item.metadata, item.max_cost) == (asked.metadata or {}, asked.max_cost)
