"""Text as people paste it into settings: from files that end in a newline, from documents, with quotes."""

import re
from urllib.parse import urlsplit

_SCHEME_OF_A_KEY = re.compile(r"^(?:authorization:\s*)?(?:bearer|key|token)\s+", re.IGNORECASE)
_INVISIBLE = "\ufeff\u200b\u200c\u200d\u2060\xa0"


def unpasted(value: object) -> object:
    """Return text without what surrounds it by accident: blanks, newlines, a byte order mark, quotes."""
    if not isinstance(value, str):
        return value
    text = value.strip().strip(_INVISIBLE).strip()
    if len(text) > 1 and text[0] == text[-1] and text[0] in "\"'":
        text = text[1:-1].strip()
    return text


def api_key(value: str) -> str:
    """Return a key without the word that stands before it in a header.

    Raises ValueError, which does not show it, for one that no header can carry.
    """
    key = _SCHEME_OF_A_KEY.sub("", value)
    if not (key.isascii() and key.isprintable()) or " " in key:
        raise ValueError("the key has a blank, a line break or a character that is not ASCII inside")
    return key


def http_address(value: str) -> str:
    """Return an address without the slash at its end. Raises ValueError for one without scheme or host."""
    parts = urlsplit(value)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("an address begins with http:// or https:// and a host")
    if parts.query or parts.fragment or re.search(r"\s", value):
        raise ValueError("an address has no blank, no query and no fragment")
    return value.rstrip("/")


def host_and_port(value: str) -> str:
    """Return `host:port` of a gRPC address, which has no scheme. Raises ValueError without a port."""
    parts = urlsplit(value if "://" in value else f"//{value}")
    if not parts.hostname or parts.port is None:
        raise ValueError("an address of the form host:port")
    return parts.netloc
