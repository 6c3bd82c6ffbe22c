"""Items of a batch in OpenAI's form: the JSON bodies of its two routes of images. Pure."""

from collections.abc import Mapping
from typing import Any

from domain.batch_items import FILE_IDS_ONLY, file_errors, unstorable_errors
from domain.batches import ItemRequest
from domain.catalog import Catalog
from domain.errors import InvalidInput
from domain.model_schema import FieldErrors
from domain.openai_parameters import DEFAULT_MODEL, model_parameters

_MAX_WORD_CHARACTERS, _MAX_USER_CHARACTERS, _MAX_IMAGES, _MAX_FIELDS = 100, 256, 16, 50
_WORDS = ("model", "size", "quality", "background", "moderation", "output_format")
_USERS = ("user", "safety_identifier")
# What is no parameter of a model.
_OTHERS = ("model", "response_format", "stream", "partial_images", "images", "mask", *_USERS)
_IMAGE = 'an object {"file_id": "file_…"}'


def read_openai_item(given: Mapping[str, Any], catalog: Catalog, *, is_edit: bool) -> ItemRequest:
    """Return what a body asks for, in the model's own parameters.

    Raises InvalidInput naming each field that is wrong, ModelNotFound, ModelUnavailable.
    """
    body = {name: value for name, value in given.items() if value is not None}
    if len(body) > _MAX_FIELDS:
        raise InvalidInput(errors=(("body", f"at most {_MAX_FIELDS} fields"),))
    images, mask = body.get("images", []), body.get("mask")
    errors = [*unstorable_errors(body), *_word_errors(body), *_answer_errors(body)]
    errors += _image_errors(images, mask) if is_edit else _no_images(body)
    if errors:
        raise InvalidInput(errors=tuple(errors))
    model = catalog.get_available_model(body.get("model", DEFAULT_MODEL))
    asked = {name: value for name, value in body.items() if name not in _OTHERS}
    return ItemRequest(
        model=model.id,
        parameters=model_parameters(model, asked),
        metadata={name: body[name] for name in _USERS if body.get(name)},
        inputs=tuple(image["file_id"] for image in images) if is_edit else (),
        mask=mask["file_id"] if mask is not None else None,
    )


def _word_errors(body: Mapping[str, Any]) -> FieldErrors:
    limits = dict.fromkeys(_WORDS, _MAX_WORD_CHARACTERS) | dict.fromkeys(_USERS, _MAX_USER_CHARACTERS)
    return [
        (name, f"a text of at most {limit} characters")
        for name, limit in limits.items()
        if name in body and not (isinstance(body[name], str) and len(body[name]) <= limit)
    ]


def _answer_errors(body: Mapping[str, Any]) -> FieldErrors:
    """Check what says how the images are to be answered with; the results of a batch have addresses."""
    errors: FieldErrors = []
    if body.get("stream", False) is not False:
        errors.append(("stream", "false: no line of a batch is a stream"))
    if type(body.get("partial_images", 0)) is not int or body.get("partial_images", 0) != 0:
        errors.append(("partial_images", "0: no line of a batch is a stream"))
    if body.get("response_format", "url") not in ("url", "b64_json"):
        errors.append(("response_format", "url or b64_json"))
    return errors


def _no_images(body: Mapping[str, Any]) -> FieldErrors:
    return [(name, "only with the url /v1/images/edits") for name in ("images", "mask") if name in body]


def _image_errors(images: Any, mask: Any) -> FieldErrors:
    if not (isinstance(images, list) and 1 <= len(images) <= _MAX_IMAGES):
        return [("images", f"1 to {_MAX_IMAGES} objects, each {_IMAGE}")]
    named = {f"images.{index}": image for index, image in enumerate(images)}
    named |= {"mask": mask} if mask is not None else {}
    errors: FieldErrors = []
    for name, image in named.items():
        if not isinstance(image, dict) or image.keys() - {"file_id", "image_url"}:
            errors.append((name, _IMAGE))
        elif not isinstance(image.get("file_id"), str) or image.get("image_url") is not None:
            errors.append((name, FILE_IDS_ONLY))
        elif file_errors([image["file_id"]], None):
            errors.append((f"{name}.file_id", FILE_IDS_ONLY))
    return errors
