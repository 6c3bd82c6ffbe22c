"""Where content was refused: the request, or the image."""

from enum import StrEnum


class ModeratedAt(StrEnum):
    """What broke a content rule: the request, or the image made from it."""

    INPUT = "input"
    OUTPUT = "output"
