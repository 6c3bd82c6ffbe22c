"""What Schemathesis cannot know from the description: real cursors and images, and a model that is there."""

import json
import os
from datetime import UTC, date, datetime
from io import BytesIO
from typing import Any

import schemathesis
from hypothesis import strategies
from PIL import Image

from api.http.examples import PARAMETERS
from api.http.pagination import (
    batch_cursor,
    delivery_cursor,
    entry_cursor,
    generation_cursor,
    item_cursor,
    key_cursor,
    lot_cursor,
    month_cursor,
    usage_cursor,
)
from domain.keys import KeyPosition
from domain.listing import GenerationFilter, ListOrder, ListPosition
from domain.ports.webhooks import Page
from domain.statements import UsageLine, UsageQuery
from tests.integration.api.service import MODEL
from tests.support.requests import new_id

_MAX_MODEL_CHARACTERS = 100
_CREATING = ("create_generation", "create_openai_images", "edit_openai_images")
# By the id in the examples, one that is there.
_REAL_IDS: dict[str, str] = json.loads(os.environ["REAL_IDS"])


def _cursor(created_at: datetime) -> str:
    return generation_cursor(ListPosition(created_at, new_id("gen")), GenerationFilter(), ListOrder.NEWEST)


def _picture() -> bytes:
    file = BytesIO()
    Image.new("RGB", (64, 64), "teal").save(file, "PNG")
    return file.getvalue()


_FIRST, _LAST = datetime(2001, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC)
_SECONDS = strategies.integers(int(_FIRST.timestamp()), int(_LAST.timestamp()))
schemathesis.openapi.format(
    "generation-cursor",
    _SECONDS.map(lambda second: _cursor(datetime.fromtimestamp(second, UTC))),
)
schemathesis.openapi.format(
    "delivery-cursor",
    _SECONDS.map(lambda second: delivery_cursor(Page(datetime.fromtimestamp(second, UTC), new_id("msg")))),
)
schemathesis.openapi.format(
    "key-cursor",
    _SECONDS.map(lambda second: key_cursor(KeyPosition(datetime.fromtimestamp(second, UTC), "0" * 16))),
)
schemathesis.openapi.format(
    "https-url", strategies.integers(0, 9).map("https://hooks{}.example.com/a".format)
)
schemathesis.openapi.format("entry-cursor", strategies.integers(0, 2**63 - 1).map(entry_cursor))
_MONTHS = strategies.integers(0, 20 * 12).map(lambda month: date(2000 + month // 12, month % 12 + 1, 1))
schemathesis.openapi.format("past-month", _MONTHS.map("{:%Y-%m}".format))
schemathesis.openapi.format(
    "lot-cursor", strategies.integers(0, 2**63).map("lot_{:032x}".format).map(lot_cursor)
)
schemathesis.openapi.format("month-cursor", _MONTHS.map(month_cursor))
schemathesis.openapi.format(
    "usage-cursor",
    _MONTHS.map(
        lambda day: usage_cursor(UsageQuery(day, day), UsageLine(None, None, None, 0, 0, 0)),
    ),
)
schemathesis.openapi.format("item-cursor", strategies.integers(0, 2**31).map(item_cursor))
schemathesis.openapi.format("batch-cursor", strategies.builds(lambda: batch_cursor(new_id("bat"))))
schemathesis.openapi.format("short-duration", strategies.integers(1, 86_400).map(str))
schemathesis.openapi.format("event-id", strategies.integers(1, 2**63 - 1).map("evt_{0}_{0}".format))
schemathesis.openapi.format("binary", strategies.just(_picture()))


@schemathesis.hook
def map_path_parameters(_: schemathesis.HookContext, values: Any) -> Any:
    """Name what is there where the examples are named, and in half of what is made up."""
    if not isinstance(values, dict):
        return values
    return {name: _real(name, value) for name, value in values.items()}


def _real(name: str, value: Any) -> Any:
    example = PARAMETERS.get(name)
    is_taken = value == example or (isinstance(value, str) and len(value) % 2 == 0)
    return _REAL_IDS.get(example, value) if is_taken and isinstance(example, str) else value


@schemathesis.hook
def map_body(context: schemathesis.HookContext, body: Any) -> Any:
    """Ask for a model and a tenant that are there, as a word by chance never is one."""
    body = _whole(body)
    if isinstance(body, dict) and "tenant_id" in body:
        body = body | {"tenant_id": _real("tenant_id", body["tenant_id"])}
    assert context.operation is not None
    if context.operation.definition.raw.get("operationId") in _CREATING and isinstance(body, dict):
        model = body.get("model")
        if isinstance(model, str) and 0 < len(model) <= _MAX_MODEL_CHARACTERS:
            return body | {"model": MODEL}
    if isinstance(body, dict) and isinstance(body.get("items"), list):
        return body | {"items": [_of_a_model(item) for item in body["items"]]}
    return body


def _of_a_model(item: Any) -> Any:
    is_good = isinstance(item, dict) and isinstance(item.get("model"), str) and item["model"]
    return item | {"model": MODEL} if is_good and len(item["model"]) <= _MAX_MODEL_CHARACTERS else item


@schemathesis.hook
def before_call(context: schemathesis.HookContext, case: schemathesis.Case[Any], _: Any) -> None:
    """Leave a list as it is that a cursor continues, in a request that is meant to be valid."""
    is_list = case.operation.definition.raw.get("operationId") == "list_generations"
    is_valid = case.meta is not None and case.meta.generation.mode is schemathesis.GenerationMode.POSITIVE
    if is_list and is_valid and case.query and "cursor" in case.query:
        case.query = {name: case.query[name] for name in ("cursor", "limit") if name in case.query}


def _whole(value: Any) -> Any:
    """Write 3.0 as 3: a whole number has no point here, and to a schema they are the same."""
    if isinstance(value, dict):
        return {name: _whole(each) for name, each in value.items()}
    if isinstance(value, list):
        return [_whole(each) for each in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value
