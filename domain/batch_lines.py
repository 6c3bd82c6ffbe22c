"""Lines of a batch's file, in OpenAI's form: `{"custom_id", "method", "url", "body"}`. Pure.

The body is one of the route in `url`. Whatever a line is, it is an item or errors that name its number.
"""

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from domain.batch_items import name_errors, price_of, read_item, shown
from domain.batches import BatchItemDraft, ItemRequest, LineError
from domain.catalog import Catalog
from domain.errors import InvalidInput, MaxCostExceeded, ModelNotFound, ModelUnavailable
from domain.model_schema import FieldErrors
from domain.openai_items import read_openai_item

MAX_LINE_BYTES = 64 * 1024
# Of one line: it may have thousands of names, each of which is wrong.
_MAX_ERRORS = 10
_METHOD = "POST"
_FIELDS = ("custom_id", "method", "url", "body", "idempotency_key")
_NO_JSON = "one JSON object"


class Endpoint(StrEnum):
    """The routes whose bodies a line may have."""

    GENERATIONS = "/v1/generations"
    OPENAI_GENERATIONS = "/v1/images/generations"
    OPENAI_EDITS = "/v1/images/edits"


@dataclass(frozen=True)
class CatalogLineParser:
    """Reads one line at a time, and knows nothing of the lines before: `ItemNames` does.

    webhook_origins: as in `check_webhook_url`.
    """

    catalog: Catalog
    webhook_origins: Collection[str] = ()

    def __call__(self, text: str, line: int, endpoint: str) -> BatchItemDraft | Sequence[LineError]:
        """Return the item, or what is wrong with the line. endpoint: what each line has to name."""
        try:
            return self._draft(text, line, Endpoint(endpoint))
        except InvalidInput as error:
            found = error.errors[:_MAX_ERRORS]
            return [LineError(line, error.code, field, limit) for field, limit in found]
        except MaxCostExceeded as error:
            return [LineError(line, error.code, "body.max_cost", str(error))]
        except (ModelNotFound, ModelUnavailable) as error:
            return [LineError(line, error.code, "body.model", error.message)]

    def _draft(self, text: str, line: int, endpoint: Endpoint) -> BatchItemDraft:
        given = _object_of(text, is_first=line == 1)
        if errors := _line_errors(given, endpoint):
            raise InvalidInput(errors=tuple(errors))
        try:
            request = self._request_of(given["body"], endpoint)
            price_credits = price_of(request, self.catalog)
        except InvalidInput as error:
            found = tuple((f"body.{field}", limit) for field, limit in error.errors)
            raise InvalidInput(errors=found) from error
        key = given.get("idempotency_key")
        return BatchItemDraft(line - 1, given["custom_id"], request, price_credits, key)

    def _request_of(self, body: Mapping[str, Any], endpoint: Endpoint) -> ItemRequest:
        if endpoint is Endpoint.GENERATIONS:
            return read_item(body, self.webhook_origins)
        return read_openai_item(body, self.catalog, is_edit=endpoint is Endpoint.OPENAI_EDITS)


class ItemNames:
    """Remembers how the items of one batch are named, which no two may be alike."""

    def __init__(self) -> None:
        self._seen: dict[str, dict[str, int]] = {"custom_id": {}, "idempotency_key": {}}

    def repeats(self, item: BatchItemDraft) -> Sequence[tuple[str, int]]:
        """Return each name that an item before has too, and the index of that; remember the item's own."""
        names = {"custom_id": item.custom_id, "idempotency_key": item.idempotency_key}
        given = {field: name for field, name in names.items() if name is not None}
        found = {field: self._seen[field].setdefault(name, item.index) for field, name in given.items()}
        return [(field, index) for field, index in found.items() if index != item.index]


def _object_of(text: str, *, is_first: bool) -> Mapping[str, Any]:
    """Raises InvalidInput."""
    if is_first:
        text = text.removeprefix("\ufeff")
    if not text.strip():
        raise InvalidInput(errors=(("", "is blank"),))
    try:
        if len(text.encode()) > MAX_LINE_BYTES:
            raise InvalidInput(errors=(("", f"at most {MAX_LINE_BYTES} bytes"),))
        given = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InvalidInput(errors=(("", _NO_JSON),)) from error
    if not isinstance(given, dict):
        raise InvalidInput(errors=(("", _NO_JSON),))
    return given


def _line_errors(given: Mapping[str, Any], endpoint: Endpoint) -> FieldErrors:
    errors: FieldErrors = [
        (shown(name), f"not a field of a line: {', '.join(_FIELDS)}")
        for name in sorted(given.keys() - {*_FIELDS})
    ]
    if given.get("custom_id") is None:
        errors.append(("custom_id", "is needed"))
    if given.get("method") != _METHOD:
        errors.append(("method", _METHOD))
    if given.get("url") != endpoint:
        errors.append(("url", f"{endpoint}, as the endpoint of the batch"))
    if not isinstance(given.get("body"), dict):
        errors.append(("body", "a JSON object"))
    return errors + name_errors(given.get("custom_id"), given.get("idempotency_key"))
