"""Types that the fields of several bodies share."""

import re
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StrictFloat, StrictInt

from domain.webhook_urls import MAX_URL_CHARACTERS
from domain.webhooks import SUBSCRIBABLE_TYPES

_UNSTORABLE = re.compile("[\0\ud800-\udfff]")


def _storable(text: str) -> str:
    """Refuse what PostgreSQL cannot hold: NUL, and surrogates without their other half."""
    if _UNSTORABLE.search(text):
        raise ValueError("must not contain NUL or lone surrogates")
    return text


# Described as a pattern: what is described is what is accepted.
_NO_NUL: dict[str, Any] = {"pattern": r"^[^\u0000]*$"}

Text = Annotated[str, Field(strict=True, json_schema_extra=_NO_NUL), AfterValidator(_storable)]
# Wider than any model's own limit; those are checked against the catalog, with the model's numbers.
WholeNumber = Annotated[StrictInt, Field(ge=-(2**53), le=2**53)]
Number = Annotated[StrictFloat, Field(allow_inf_nan=False)]
Word = Annotated[Text, Field(max_length=20)]
EventName = Annotated[Text, Field(max_length=100, json_schema_extra={"enum": list(SUBSCRIBABLE_TYPES)})]
# https at a host that the internet reaches: domain/webhook_urls.py.
WebhookUrl = Annotated[
    Text, Field(min_length=1, max_length=MAX_URL_CHARACTERS, json_schema_extra={"format": "https-url"})
]


class RequestBody(BaseModel):
    """A body that a client sends: an unknown field is refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)
