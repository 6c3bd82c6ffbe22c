"""Provider results as JSON columns. They hold bearer secrets and a provider's words: they stay here."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from domain.generation import Image, Undelivered
from domain.provider import JobStatus, ProviderResult, ResultFile

Stored = dict[str, Any] | None


def to_json(result: ProviderResult, images: Sequence[Image] = ()) -> dict[str, Any]:
    """images: what a synchronous provider's answer has put into our storage already."""
    return {
        "verdict": result.verdict,
        "code": result.code,
        "files": [file.url for file in result.files],
        "images": [asdict(image) for image in images],
        "undelivered": pairs(result.undelivered),
    }


def files_of(stored: Stored) -> tuple[ResultFile, ...]:
    """The files of a stored success; none of anything else."""
    return tuple(ResultFile(url) for url in _of_success(stored, "files"))


def delivered_of(stored: Stored) -> tuple[Image, ...]:
    return tuple(Image(**image) for image in _of_success(stored, "images"))


def undelivered_of(stored: Stored) -> tuple[Undelivered, ...]:
    return unpaired(_of_success(stored, "undelivered"))


def pairs(undelivered: Sequence[Undelivered]) -> list[list[Any]]:
    return [[missing.index, missing.code] for missing in undelivered]


def unpaired(stored: Sequence[Sequence[Any]]) -> tuple[Undelivered, ...]:
    return tuple(Undelivered(int(index), str(code)) for index, code in stored)


def _of_success(stored: Stored, name: str) -> Sequence[Any]:
    if stored is None or stored["verdict"] != JobStatus.SUCCEEDED:
        return ()
    found: Sequence[Any] = stored.get(name, ())
    return found
