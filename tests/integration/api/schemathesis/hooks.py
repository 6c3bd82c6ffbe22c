"""What Schemathesis cannot know from the description: real cursors and images, and a model that is there."""

from datetime import UTC, datetime
from io import BytesIO
from typing import Any

import schemathesis
from hypothesis import strategies
from PIL import Image

from api.http.pagination import entry_cursor, generation_cursor
from tests.integration.api.service import MODEL
from tests.support.requests import new_id

_MAX_MODEL_CHARACTERS = 100
_CREATING = ("create_generation", "create_openai_images", "edit_openai_images")


class _Last:
    """The end of a page, as far as its cursor goes."""

    def __init__(self, created_at: datetime) -> None:
        self.created_at = created_at
        self.id = new_id("gen")


def _picture() -> bytes:
    file = BytesIO()
    Image.new("RGB", (64, 64), "teal").save(file, "PNG")
    return file.getvalue()


_FIRST, _LAST = datetime(2001, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC)
_SECONDS = strategies.integers(int(_FIRST.timestamp()), int(_LAST.timestamp()))
schemathesis.openapi.format(
    "generation-cursor",
    _SECONDS.map(lambda second: generation_cursor(_Last(datetime.fromtimestamp(second, UTC)))),
)
schemathesis.openapi.format("entry-cursor", strategies.integers(0, 2**63 - 1).map(entry_cursor))
schemathesis.openapi.format("event-id", strategies.integers(1, 2**63 - 1).map("evt_{0}_{0}".format))
schemathesis.openapi.format("binary", strategies.just(_picture()))


@schemathesis.hook
def map_body(context: schemathesis.HookContext, body: Any) -> Any:
    """Ask for a model that is there, as a word by chance never is one."""
    if context.operation.definition.raw.get("operationId") in _CREATING and isinstance(body, dict):
        model = body.get("model")
        if isinstance(model, str) and 0 < len(model) <= _MAX_MODEL_CHARACTERS:
            return body | {"model": MODEL}
    return body
