"""Items of a batch as their clients ask for them, in the form of `POST /v1/generations`. Pure.

Read without a model: what the model takes is checked against the catalog, by whoever builds the request.
"""

import math
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from domain.batches import MAX_CUSTOM_ID_CHARACTERS, ItemRequest
from domain.catalog import Catalog
from domain.controls import Controls, Priority
from domain.errors import InvalidInput, MaxCostExceeded
from domain.input_files import FILE_ID
from domain.model_schema import FieldErrors
from domain.webhook_urls import check_webhook_url
from domain.webhooks import SUBSCRIBABLE_TYPES

MAX_KEY_CHARACTERS = 255
FILE_IDS_ONLY = "in a batch an image is the id of a file of POST /v1/files, not an address and not its bytes"
PARAMETERS = (
    *("prompt", "n", "size", "aspect_ratio", "resolution", "seed", "output_format", "quality", "background"),
    "options",
)
_MAX_NUMBER = 2**53
_MAX_MODEL_CHARACTERS, _MAX_PROMPT_CHARACTERS = 100, 32_000
_MAX_INPUTS, _MAX_PAIRS, _MAX_EVENTS, _MAX_OPTIONS = 16, 16, 50, 20
_MIN_LIFETIME_SECONDS, _MAX_LIFETIME_SECONDS = 60, 31_536_000
_UNSTORABLE = re.compile("[\0\ud800-\udfff]")
_CUSTOM_ID = f"1 to {MAX_CUSTOM_ID_CHARACTERS} characters"
_KEY = f"1 to {MAX_KEY_CHARACTERS} printable characters of ASCII, with no space at either end"


def read_item(given: Mapping[str, Any], webhook_origins: Collection[str] = ()) -> ItemRequest:
    """Return what a body asks for. Raises InvalidInput naming each field that is wrong, never its value.

    webhook_origins: as in `check_webhook_url`.
    """
    body = {name: value for name, value in given.items() if value is not None}
    errors = [(name, "is needed") for name in ("model", "prompt") if name not in body]
    for name, value in body.items():
        is_good, limit = _CHECKS.get(name, _ANY if name in PARAMETERS else _UNKNOWN)
        errors += [] if is_good(value) else [(shown(name), limit)]
    errors = errors or [
        *unstorable_errors(body),
        *file_errors(body.get("inputs", ()), body.get("mask")),
        *_webhook_errors(body, webhook_origins),
    ]
    if errors:
        raise InvalidInput(errors=tuple(errors))
    return ItemRequest(
        model=body["model"],
        parameters={name: body[name] for name in PARAMETERS if name in body},
        metadata=body.get("metadata", {}),
        inputs=tuple(body.get("inputs", ())),
        mask=body.get("mask"),
        controls=_controls(body),
        max_cost=body.get("max_cost"),
    )


def price_of(item: ItemRequest, catalog: Catalog) -> int:
    """Check an item against its model, but for its images themselves; return its price.

    Raises ModelNotFound, ModelUnavailable, InvalidInput, MaxCostExceeded.
    """
    model = catalog.get_available_model(item.model)
    model.validate(item.parameters, item.metadata, len(item.inputs), mask=item.mask is not None)
    price_credits = model.price_of(item.parameters)
    if item.max_cost is not None and price_credits > item.max_cost:
        raise MaxCostExceeded(f"it costs {price_credits} credits, and max_cost is {item.max_cost}")
    return price_credits


def name_errors(custom_id: object, key: object) -> FieldErrors:
    """Check the two names that an item has beside its body."""
    errors = []
    if custom_id is not None and not _is_text(custom_id, 1, MAX_CUSTOM_ID_CHARACTERS):
        errors.append(("custom_id", _CUSTOM_ID))
    if key is not None and not is_idempotency_key(key):
        errors.append(("idempotency_key", _KEY))
    return errors


def is_idempotency_key(key: object) -> bool:
    """Return whether the header field of that name could hold it, plain."""
    is_plain = isinstance(key, str) and key.isascii() and key.isprintable() and key.strip() == key
    return is_plain and 1 <= len(str(key)) <= MAX_KEY_CHARACTERS


def unstorable_errors(body: Mapping[str, Any]) -> FieldErrors:
    """Name the fields with a text or a number, at whatever depth, that no database or model takes."""
    errors = []
    for name, value in body.items():
        waiting: list[Any] = [name, value]
        limits = set()
        # Not by recursion: what the JSON parser could just nest would be too deep.
        while waiting:
            each = waiting.pop()
            if isinstance(each, Mapping):
                waiting += [*each.keys(), *each.values()]
            elif isinstance(each, list):
                waiting += each
            elif (limit := _unstorable(each)) is not None:
                limits.add(limit)
        errors += [(shown(name), limit) for limit in sorted(limits)]
    return errors


def shown(name: str) -> str:
    """Return a name that a client made up, cut, and safe to show."""
    return name.encode("ascii", "backslashreplace").decode()[:100]


def _unstorable(value: object) -> str | None:
    if isinstance(value, str):
        return "must not contain NUL or lone surrogates" if _UNSTORABLE.search(value) else None
    if isinstance(value, float):
        return None if math.isfinite(value) else "a finite number"
    if isinstance(value, int) and abs(value) > _MAX_NUMBER:
        return f"a number from -{_MAX_NUMBER} to {_MAX_NUMBER}"
    return None


def file_errors(inputs: Sequence[str], mask: str | None) -> FieldErrors:
    """Name the images of an item that are no ids of files."""
    bad = [index for index, each in enumerate(inputs) if not FILE_ID.fullmatch(each)]
    errors = [(f"inputs.{index}", FILE_IDS_ONLY) for index in bad]
    return errors + ([("mask", FILE_IDS_ONLY)] if mask is not None and not FILE_ID.fullmatch(mask) else [])


def _webhook_errors(body: Mapping[str, Any], origins: Collection[str]) -> FieldErrors:
    if "webhook_url" not in body:
        if body.get("webhook_events"):
            return [("webhook_events", "only together with webhook_url")]
        return []
    if not set(body.get("webhook_events", ())) <= set(SUBSCRIBABLE_TYPES):
        return [("webhook_events", f"each one of {', '.join(SUBSCRIBABLE_TYPES)}")]
    try:
        check_webhook_url(body["webhook_url"], origins, field="webhook_url")
    except InvalidInput as error:
        return list(error.errors)
    return []


def _controls(body: Mapping[str, Any]) -> Controls:
    return Controls(
        image_lifetime_seconds=body.get("expires_in"),
        keeps_prompt=body.get("store_prompt") is not False,
        priority=Priority[body.get("priority", "normal").upper()],
        webhook_url=body.get("webhook_url"),
        webhook_events=tuple(body.get("webhook_events", ())),
    )


def _is_text(value: object, least: int, most: int) -> bool:
    return isinstance(value, str) and least <= len(value) <= most and not _UNSTORABLE.search(value)


def _is_whole(value: object, least: int, most: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and least <= value <= most


def _is_list(value: object, most: int) -> bool:
    return isinstance(value, list) and len(value) <= most and all(isinstance(each, str) for each in value)


def _are_pairs(value: Any) -> bool:
    is_small = isinstance(value, dict) and len(value) <= _MAX_PAIRS
    return is_small and all(isinstance(each, str) for each in value.values())


def _are_options(value: Any) -> bool:
    is_small = isinstance(value, dict) and len(value) <= _MAX_OPTIONS
    return is_small and all(isinstance(each, str | int | float | bool) for each in value.values())


# By the field: whether a value may be one, and what it has to be.
_Check = tuple[Callable[[Any], bool], str]
_ANY: _Check = (lambda _: True, "")
_UNKNOWN: _Check = (lambda _: False, "not a field of a generation")
_CHECKS: Mapping[str, _Check] = {
    "model": (lambda value: _is_text(value, 1, _MAX_MODEL_CHARACTERS), "an id of GET /v1/models"),
    "prompt": (
        lambda value: _is_text(value, 1, _MAX_PROMPT_CHARACTERS),
        f"1 to {_MAX_PROMPT_CHARACTERS} characters",
    ),
    "options": (_are_options, f"at most {_MAX_OPTIONS} names with a text, a number, or true or false"),
    "inputs": (lambda value: _is_list(value, _MAX_INPUTS), f"at most {_MAX_INPUTS} ids of files"),
    "mask": (lambda value: isinstance(value, str), "the id of a file"),
    "metadata": (_are_pairs, f"at most {_MAX_PAIRS} names, each with a text"),
    "webhook_url": (lambda value: isinstance(value, str), "an https address"),
    "webhook_events": (lambda value: _is_list(value, _MAX_EVENTS), f"at most {_MAX_EVENTS} types of events"),
    "max_cost": (lambda value: _is_whole(value, 0, _MAX_NUMBER), "a whole number of credits, 0 or more"),
    "priority": (lambda value: value in ("low", "normal", "high"), "one of low, normal, high"),
    "expires_in": (
        lambda value: _is_whole(value, _MIN_LIFETIME_SECONDS, _MAX_LIFETIME_SECONDS),
        f"a whole number of seconds from {_MIN_LIFETIME_SECONDS} to {_MAX_LIFETIME_SECONDS}",
    ),
    "store_prompt": (lambda value: isinstance(value, bool), "true or false"),
}
