"""Types that the fields of several bodies share."""

import re
from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StrictFloat,
    StrictInt,
)

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
# No moment of ours is outside of these years, and those at the edges have none in another time zone.
_FIRST = datetime(2000, 1, 1, tzinfo=UTC)
_LAST = datetime(9000, 1, 1, tzinfo=UTC)


def _written(value: object) -> object:
    """Refuse a number, which would be read as seconds since 1970."""
    if not isinstance(value, str):
        raise ValueError("a date and time as in RFC 3339")  # noqa: TRY004 - pydantic reads ValueErrors
    return value


def _in_our_years(moment: datetime) -> datetime:
    if not _FIRST <= moment < _LAST:
        raise ValueError(f"from {_FIRST.year} to {_LAST.year - 1}")
    return moment


Moment = Annotated[AwareDatetime, BeforeValidator(_written), AfterValidator(_in_our_years)]
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
