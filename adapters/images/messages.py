"""What is said between this process and a child: one line of JSON each way, and the limits before.

A child has read bytes of strangers, so what it says is checked like any other input.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from domain.input_files import ImageFacts

MAX_LINE_BYTES = 65_536
READY = b"ready\n"
CONTENT_TYPES = ("image/png", "image/jpeg", "image/webp")
_MAX_TEXT = 300


class MessageError(ValueError):
    """A line is not a message."""


@dataclass(frozen=True)
class DecodeLimits:
    """What a child may use for one image.

    Attributes:
        max_pixels: Width times height.
        memory_bytes: For the decoded picture and what its decoder needs besides.
        cpu_seconds: Of processor time, the same on a busy machine and on an idle one.
        limits_address_space: Whether the kernel holds the memory limit. Where it does not, as on macOS, the
            parent watches the child.
        max_images: After this many a child ends, and another takes its place.
    """

    max_pixels: int
    memory_bytes: int
    cpu_seconds: float
    limits_address_space: bool = True
    max_images: int = 500

    @property
    def wall_seconds(self) -> float:
        """Return how long a child may take on a machine that is too busy to run it."""
        return 30.0 + 4 * self.cpu_seconds

    def to_json(self) -> str:
        return json.dumps(asdict(self))


@dataclass(frozen=True)
class DecodeRequest:
    """One image.

    Attributes:
        source: The file to read.
        target: An empty file for the result; it is written only if that differs from the source.
        task: `prepare`, or `white_mask`.
        is_upright_wanted: Whether a picture that programs may see differently is rewritten.
        is_stripped: Whether metadata is removed.
    """

    source: str
    target: str
    task: str = "prepare"
    is_upright_wanted: bool = False
    is_stripped: bool = True

    def to_line(self) -> bytes:
        return _line(asdict(self))


@dataclass(frozen=True)
class DecodeReply:
    """What a child found.

    Attributes:
        error: Why the image cannot be used.
        outage: Why it could not be tried, such as a full disk. Without both the fields below are set.
        facts: Of the bytes to be stored.
        is_rewritten: Whether these are in the target.
        is_last: The child ends after this reply.
    """

    error: str | None = None
    outage: str | None = None
    facts: ImageFacts | None = None
    source_sha256: str = ""
    is_rewritten: bool = False
    is_last: bool = False

    def to_line(self) -> bytes:
        return _line(asdict(self))


def read_limits(text: str) -> DecodeLimits:
    return DecodeLimits(**json.loads(text))


def read_request(line: bytes) -> DecodeRequest:
    """Read what the parent says, which is trusted."""
    return DecodeRequest(**json.loads(line))


def read_reply(line: bytes) -> DecodeReply:
    """Raises MessageError for anything that is not a reply."""
    try:
        found = json.loads(line)
        facts = None if found["facts"] is None else _facts(found["facts"])
        return DecodeReply(
            error=_text(found["error"]),
            outage=_text(found["outage"]),
            facts=facts,
            source_sha256=_digest(found["source_sha256"]) if facts else "",
            is_rewritten=found["is_rewritten"] is True,
            is_last=found["is_last"] is True,
        )
    except (ValueError, LookupError, TypeError, RecursionError) as problem:
        raise MessageError("not a reply") from problem


def _facts(found: Mapping[str, Any]) -> ImageFacts:
    width, height, size_bytes = (_count(found[name]) for name in ("width", "height", "size_bytes"))
    if found["content_type"] not in CONTENT_TYPES:
        raise MessageError("an unknown type")
    digest = _digest(found["sha256"])
    return ImageFacts(width, height, found["content_type"], size_bytes, digest, found["has_alpha"] is True)


def _text(value: object) -> str | None:
    return None if value is None else str(value)[:_MAX_TEXT]


def _count(value: object) -> int:
    if type(value) is not int or not 0 < value < 1 << 40:
        raise MessageError("not a count")
    return value


def _digest(value: object) -> str:
    if not isinstance(value, str) or len(value) != 64 or not set(value) <= set("0123456789abcdef"):
        raise MessageError("not a digest")
    return value


def _line(fields: Mapping[str, Any]) -> bytes:
    return json.dumps(fields).encode() + b"\n"
