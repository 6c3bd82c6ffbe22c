"""Text as people paste it into settings: from files that end in a newline, from documents, with quotes."""

_INVISIBLE = "\ufeff\u200b\u200c\u200d\u2060\xa0"


def unpasted(value: object) -> object:
    """Return text without what surrounds it by accident: blanks, newlines, a byte order mark, quotes."""
    if not isinstance(value, str):
        return value
    text = value.strip().strip(_INVISIBLE).strip()
    if len(text) > 1 and text[0] == text[-1] and text[0] in "\"'":
        text = text[1:-1].strip()
    return text


def check_header_text(value: str, what: str) -> str:
    """Return a secret that can be sent in a header. Raises ValueError, which does not show it."""
    if not (value.isascii() and value.isprintable()):
        raise ValueError(f"{what} has a line break or a character that is not ASCII inside")
    return value
