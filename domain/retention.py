"""How long what belongs to a client is kept after its generation has ended."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from domain.errors import InvalidInput

_MAX_DAYS = 36_600


class DataKind(StrEnum):
    """What can be erased by itself. Credits, costs, ids and times stay: they are the books.

    IMAGES: the images of a generation. CONTENT: its prompt, parameters, metadata and references to inputs.
    PROVIDER_DATA: what its provider said and where the results were, of its attempts and webhooks.
    """

    IMAGES = "images"
    CONTENT = "content"
    PROVIDER_DATA = "provider_data"


@dataclass(frozen=True)
class Retention:
    """Days after the end of a generation, by kind; None: for ever. Of events: since each was written."""

    days: Mapping[DataKind, float | None]
    event_days: float | None = None


def read_days(kind: str, value: str) -> tuple[DataKind, float | None]:
    """Return a retention that an operator wrote; `never` erases nothing. Raises InvalidInput."""
    if kind not in list(DataKind):
        raise InvalidInput(errors=((kind, f"one of {', '.join(DataKind)}"),))
    if value == "never":
        return DataKind(kind), None
    try:
        days = float(value)
    except ValueError:
        days = -1.0
    if not 0 <= days <= _MAX_DAYS:
        raise InvalidInput(errors=((kind, f"days from 0 to {_MAX_DAYS}, or never"),))
    return DataKind(kind), days
