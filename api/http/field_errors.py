"""What is wrong with a field of a body or a query, in words that are not those of a library."""

from collections.abc import Mapping, Sequence
from typing import Any


def message_of(error: Mapping[str, Any]) -> str:
    """Return what is wrong with a field, without the words of the library that found it."""
    if error["type"] == "value_error":
        return str(error["msg"]).removeprefix("Value error, ")
    if error["type"] == "too_long" and error.get("ctx", {}).get("field_type") == "Value":
        # A limit that is checked after other checks, which does not know that it counts characters.
        return f"at most {error['ctx']['max_length']} characters"
    return str(error["msg"])


def field_name(location: Sequence[int | str]) -> str:
    """Return a field's path as a client names it, cut, as an unknown name may be anything."""
    parts = [str(part) for part in location if part not in ("body", "query", "path", "header")]
    name = ".".join(parts) or "body"
    return name.encode("ascii", "backslashreplace").decode()[:100]
