"""The query of `GET /v1/generations`: which generations, in which order. docs/lists.md tells clients."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import Query, Request

from api.http.declarations import declares
from api.http.schemas.fields import Text
from domain.errors import InvalidInput
from domain.generation import Status
from domain.listing import GenerationFilter, ListOrder

MAX_METADATA_FILTERS = 5
_MAX_PAIR_CHARACTERS = 500
_MAX_MOMENT_CHARACTERS = 40
_METADATA = "metadata."
_NAMES = frozenset(
    {"status", "model", "provider", "created_after", "created_before", "q", "sort", "cursor", "limit"}
)
# RFC 3339.
_MOMENT = re.compile(r"(\d{4}-\d\d-\d\d)[Tt](\d\d:\d\d:)(\d\d)(\.\d{1,20})?([Zz]|[+-]\d\d:\d\d)", re.ASCII)
# Nothing was created before, nor will be after; at the ends of time a moment has no equal in another zone.
_FIRST, _LAST = datetime(2000, 1, 1, tzinfo=UTC), datetime(9999, 1, 1, tzinfo=UTC)
_EXAMPLE = "2026-01-15T12:30:00Z"
# In the description; `Text` refuses it with words.
_WITHOUT_NUL: dict[str, Any] = {"pattern": r"^[^\x00]*$"}
# What a signature of Python cannot declare.
_METADATA_PARAMETER: dict[str, Any] = {
    "name": "metadata.{key}",
    "in": "query",
    "required": False,
    "description": f"This value of a key of the metadata, such as `metadata.user=42`. At most"
    f" {MAX_METADATA_FILTERS} keys; what is not a letter, digit, `-`, `.`, `_` or `~` in a key is"
    " percent-encoded.",
    "schema": {"type": "string", "maxLength": _MAX_PAIR_CHARACTERS - len("{key}")} | _WITHOUT_NUL,
}


@dataclass(frozen=True)
class ListQuery:
    """Which list a client reads."""

    wanted: GenerationFilter
    order: ListOrder


def _moment_query(description: str) -> Any:
    return Query(
        description=f"{description}: RFC 3339 with a time zone, such as `{_EXAMPLE}`.",
        max_length=_MAX_MOMENT_CHARACTERS,
        json_schema_extra={"format": "date-time"},
    )


@declares(parameters=(_METADATA_PARAMETER,))
async def read_list_query(
    request: Request,
    status: Annotated[Status | None, Query()] = None,
    model: Annotated[Text | None, Query(max_length=100, json_schema_extra=_WITHOUT_NUL)] = None,
    provider: Annotated[Text | None, Query(max_length=100, json_schema_extra=_WITHOUT_NUL)] = None,
    created_after: Annotated[Text | None, _moment_query("Created then or later")] = None,
    created_before: Annotated[Text | None, _moment_query("Created earlier")] = None,
    q: Annotated[
        Text | None,
        Query(
            description="Words of prompt and metadata, which must all be there.",
            max_length=200,
            json_schema_extra=_WITHOUT_NUL,
        ),
    ] = None,
    sort: Annotated[ListOrder, Query()] = ListOrder.NEWEST,
) -> ListQuery:
    """Raises InvalidInput, also for a parameter that there is not, as all generations would be the answer."""
    pairs = request.query_params.multi_items()
    if errors := _name_errors([name for name, _ in pairs]):
        raise InvalidInput(errors=tuple(errors[:50]))
    wanted = GenerationFilter(
        status,
        model,
        provider,
        _read_metadata(pairs),
        _read_moment("created_after", created_after),
        _read_moment("created_before", created_before),
        q,
    )
    return ListQuery(wanted, sort)


def _name_errors(names: Sequence[str]) -> list[tuple[str, str]]:
    metadata = {name for name in names if name.startswith(_METADATA)}
    if len(metadata) > MAX_METADATA_FILTERS:
        return [("metadata", f"at most {MAX_METADATA_FILTERS} keys")]
    known = f"not a parameter of this list: {', '.join(sorted(_NAMES))}, {_METADATA}KEY"
    errors = [(_shown(name), known) for name in sorted({*names} - _NAMES - metadata)]
    return errors + [(_shown(name), "given once") for name in sorted({*names}) if names.count(name) > 1]


def _read_metadata(pairs: Sequence[tuple[str, str]]) -> dict[str, str]:
    found = {name.removeprefix(_METADATA): value for name, value in pairs if name.startswith(_METADATA)}
    for key, value in found.items():
        if len(key) + len(value) > _MAX_PAIR_CHARACTERS:
            raise InvalidInput(
                errors=(("metadata", f"at most {_MAX_PAIR_CHARACTERS} characters of key and value"),)
            )
        if "\0" in key + value:
            raise InvalidInput(errors=(("metadata", "must not contain NUL"),))
    return found


def _read_moment(name: str, given: str | None) -> datetime | None:
    moment = _moment(given) if given is not None else None
    if given is not None and moment is None:
        limit = f"a time with its zone, such as {_EXAMPLE}; a plus sign is written %2B"
        raise InvalidInput(errors=((name, limit),))
    return moment


def _moment(given: str) -> datetime | None:
    """Return the moment, or the nearest that needs no more care; None for what is no moment."""
    parts = _MOMENT.fullmatch(given)
    if parts is None:
        return None
    day, minute, second, fraction, zone = parts.groups()
    # A second that was added to a day ends with the one before.
    text = f"{day}T{minute}{'59' if second == '60' else second}{(fraction or '')[:7]}{zone.upper()}"
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    if _FIRST.year < moment.year < _LAST.year - 1:
        return moment.astimezone(UTC)
    return _FIRST if moment.year <= _FIRST.year else _LAST


def _shown(name: str) -> str:
    """Return an unknown name so that it can be told from others and is safe to show."""
    return name.encode("ascii", "backslashreplace").decode()[:100]
