"""Provider results as JSON columns. They hold bearer secrets and a provider's words: they stay here."""

from typing import Any

from domain.provider import ProviderResult, ResultFile, Verdict


def to_json(result: ProviderResult) -> dict[str, Any]:
    return {"verdict": result.verdict, "code": result.code, "files": [file.url for file in result.files]}


def files_of(stored: dict[str, Any] | None) -> tuple[ResultFile, ...]:
    """The files of a stored success; none of anything else."""
    if stored is None or stored["verdict"] != Verdict.SUCCEEDED:
        return ()
    return tuple(ResultFile(url) for url in stored["files"])
