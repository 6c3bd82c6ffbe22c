"""Content rules, ours and the providers'."""

from enum import StrEnum


class ModeratedAt(StrEnum):
    """What a content rule was broken by: the request, or the image made from it."""

    INPUT = "input"
    OUTPUT = "output"
