"""Reading the body of a new batch: a thousand items, on a thread, one after the other.

A thread that parses holds up the event loop only for as long as one call of the parser or of the validator
takes, so each item is a call of its own.
"""

import asyncio
import json
import re
from collections.abc import Sequence
from typing import Annotated, Any

from fastapi import Depends, HTTPException, Request, status
from fastapi.exceptions import RequestValidationError
from pydantic import ValidationError

from api.deps import CanCreateGenerations, IdempotencyKey, ServicesDep
from api.http.declarations import declares
from api.http.field_errors import field_name, message_of
from api.http.json_body import require_json, whole_body
from api.http.schemas.batches import BatchCreate, BatchItemCreate
from api.services.batches import MAX_ERRORS, BatchCommand, invalid_items
from domain.batch_items import file_errors
from domain.batch_lines import Endpoint, ItemNames
from domain.batches import MAX_ARRAY_ITEMS, BatchItemDraft, ItemRequest
from domain.errors import BatchNotFound, InvalidInput, TooManyAtOnce, UnsupportedMediaType
from domain.model import metadata_errors
from domain.model_schema import FieldErrors
from domain.request_digest import digest
from domain.tenant import RatePolicy

# A thousand items of 16 KB each; what is longer is a file.
MAX_BODY_BYTES = 16_000_000
# More than any field takes, so that an item cannot be a hundred thousand errors.
_MAX_FIELDS = 50
_EITHER = "either items or input_file_id"
_ONLY_OF_FILES = "only with input_file_id: items are bodies of POST /v1/generations"
# What one call of the parser gets: the longest prompt, each character of it written as an escape, and more.
_MAX_VALUE_CHARACTERS = 256 * 1024
_TOO_LONG = f"at most {_MAX_VALUE_CHARACTERS} characters of JSON"
# More of them would take the parser hundreds of milliseconds, if only to tell how the JSON is wrong.
_MAX_STRUCTURE = 400_000
_STRUCTURE = "[{,:"
_DECODER = json.JSONDecoder()
_BLANKS = re.compile(r"[ \t\n\r]*")


@declares(BatchNotFound)
async def _batch_id(batch_id: str) -> str:
    """Return the id from the path. Raises BatchNotFound for a NUL, which PostgreSQL cannot compare."""
    if "\0" in batch_id:
        raise BatchNotFound
    return batch_id


@declares(TooManyAtOnce)
async def _batch_body(
    request: Request, caller: CanCreateGenerations, services: ServicesDep, key: IdempotencyKey
) -> BatchCommand:
    try:
        require_json(request)
        async with services.large_bodies.limit(caller.tenant_id):
            body = await whole_body(request)
            return await asyncio.to_thread(read_batch, body)
    except (InvalidInput, UnsupportedMediaType, RequestValidationError, HTTPException):
        if key is not None:  # it is no repeat of what was accepted
            services.rate_limiter.take(caller, RatePolicy.CREATE)
        raise


BatchId = Annotated[str, Depends(_batch_id)]
BatchBody = Annotated[BatchCommand, Depends(_batch_body)]


def read_batch(body: bytes) -> BatchCommand:
    """Raises InvalidInput, RequestValidationError, HTTPException 400 for what is no JSON."""
    try:
        given = _parsed(body)
        if len(given) > _MAX_FIELDS:
            raise InvalidInput(errors=(("body", f"at most {_MAX_FIELDS} fields"),))
        asked = BatchCreate.model_validate(given)
    except ValidationError as error:
        raise RequestValidationError(error.errors(include_input=False)) from error
    except (ValueError, RecursionError) as error:
        raise HTTPException(status.HTTP_400_BAD_REQUEST) from error
    if (asked.items is None) == (asked.input_file_id is None):
        raise InvalidInput(errors=(("items", _EITHER),))
    if asked.items is not None and asked.endpoint is not None:
        raise InvalidInput(errors=(("endpoint", _ONLY_OF_FILES),))
    if errors := metadata_errors(asked.metadata or {}):
        raise InvalidInput(errors=tuple(errors))
    endpoint = (asked.endpoint or Endpoint.GENERATIONS) if asked.items is None else None
    items, meanings = _items(asked.items or ())
    whole = asked.model_dump(mode="json", exclude={"items"}, exclude_none=True)
    return BatchCommand(
        digest({"batch": whole, "items": meanings}),
        items,
        asked.input_file_id,
        endpoint,
        asked.concurrency,
        asked.max_cost,
        asked.metadata or {},
    )


def _parsed(body: bytes) -> dict[str, Any]:
    """Parse an object, and each of its `items` by itself. Raises ValueError, RecursionError, InvalidInput."""
    text = body.decode()
    position = _expect(text, 0, "{")
    found: dict[str, Any] = {}
    while _next(text, position) != "}":
        name, position = _value(text, position, "body")
        if not isinstance(name, str) or len(found) > _MAX_FIELDS:
            raise ValueError("no name of a field")
        position = _expect(text, position, ":")
        if name == "items" and _next(text, position) == "[":
            found[name], position = _parsed_items(text, _expect(text, position, "["))
        else:
            found[name], position = _value(text, position, "body")
        position = _after_comma(text, position, "}")
    if _next(text, _expect(text, position, "}")):
        raise ValueError("more than one value")
    return found


def _parsed_items(text: str, position: int) -> tuple[list[Any], int]:
    """Return the items from there on, and where they end. One more than may be is read, to be refused."""
    items: list[Any] = []
    while _next(text, position) != "]" and len(items) <= MAX_ARRAY_ITEMS:
        item, position = _value(text, position, f"items.{len(items)}")
        items.append(item)
        position = _after_comma(text, position, "]")
    if len(items) > MAX_ARRAY_ITEMS:
        raise InvalidInput(errors=(("items", f"at most {MAX_ARRAY_ITEMS}; more are a file, input_file_id"),))
    return items, _expect(text, position, "]")


def _value(text: str, position: int, field: str) -> tuple[Any, int]:
    """Return the value there, and where it ends. Raises ValueError, RecursionError, InvalidInput."""
    begin = _after_blanks(text, position)
    part = text[begin : begin + _MAX_VALUE_CHARACTERS]
    try:
        value, length = _DECODER.raw_decode(part)
    except ValueError:
        rest = text[begin:]
        if len(part) == len(rest):
            raise
        if sum(rest.count(character) for character in _STRUCTURE) <= _MAX_STRUCTURE:
            _DECODER.raw_decode(rest)
        raise InvalidInput(errors=((field, _TOO_LONG),)) from None
    # A number that was cut off is followed by its other digits, which are no comma.
    return value, begin + length


def _after_blanks(text: str, position: int) -> int:
    blanks = _BLANKS.match(text, position)
    assert blanks is not None
    return blanks.end()


def _next(text: str, position: int) -> str:
    position = _after_blanks(text, position)
    return text[position : position + 1]


def _expect(text: str, position: int, character: str) -> int:
    """Return where the text goes on behind the character. Raises ValueError if another one comes first."""
    if _next(text, position) != character:
        raise ValueError(f"{character} expected")
    return _after_blanks(text, position) + 1


def _after_comma(text: str, position: int, end: str) -> int:
    """Return where the next member begins, or the end of all."""
    if _next(text, position) == end:
        return position
    position = _expect(text, position, ",")
    if _next(text, position) == end:
        raise ValueError("a comma too many")
    return position


def _items(given: Sequence[Any]) -> tuple[tuple[BatchItemDraft, ...], list[Any]]:
    """Validate each item; return them, and what they mean. Raises InvalidInput, naming each that is wrong."""
    errors: FieldErrors = []
    names, drafts, meanings = ItemNames(), [], []
    for index, each in enumerate(given):
        try:
            asked = _asked(each)
        except ValidationError as error:
            errors += [
                (_name(index, found["loc"]), message_of(found)) for found in error.errors(include_input=False)
            ]
        except InvalidInput as error:
            errors += [
                (f"items.{index}.{field}" if field else f"items.{index}", limit)
                for field, limit in error.errors
            ]
        else:
            draft = _draft(index, asked)
            errors += [
                (_name(index, (field,)), f"the same as of items.{other}")
                for field, other in names.repeats(draft)
            ]
            drafts.append(draft)
            meanings.append(asked.model_dump(mode="json", exclude_none=True))
        if len(errors) >= MAX_ERRORS:
            break
    if errors:
        raise invalid_items(errors)
    return tuple(drafts), meanings


def _asked(given: object) -> BatchItemCreate:
    """Raises ValidationError, InvalidInput."""
    if not isinstance(given, dict):
        raise InvalidInput(errors=(("", "a JSON object"),))
    wide = [
        name for name, value in given.items() if isinstance(value, dict | list) and len(value) > _MAX_FIELDS
    ]
    if len(given) > _MAX_FIELDS or wide:  # each of them would be an error
        raise InvalidInput(
            errors=(("", f"at most {_MAX_FIELDS} fields, each with at most {_MAX_FIELDS} parts"),)
        )
    mask = given.get("mask")
    if errors := file_errors(_texts(given.get("inputs")), mask if isinstance(mask, str) else None):
        raise InvalidInput(errors=tuple(errors))
    return BatchItemCreate.model_validate(given)


def _texts(given: object) -> list[str]:
    return [each for each in given if isinstance(each, str)] if isinstance(given, list) else []


def _draft(index: int, asked: BatchItemCreate) -> BatchItemDraft:
    given = {name: value for name, value in asked.parameters().items() if value is not None}
    controls = asked.controls(None, None)
    request = ItemRequest(
        asked.model,
        given,
        asked.metadata or {},
        tuple(asked.inputs or ()),
        asked.mask,
        controls,
        asked.max_cost,
    )
    return BatchItemDraft(index, asked.custom_id, request, 0, asked.idempotency_key)


def _name(index: int, location: Sequence[int | str]) -> str:
    return f"items.{index}.{field_name(location)}"
