"""Answers as providers' own documents and recorded traffic show them, from the files in `wire/`."""

import json
from pathlib import Path
from typing import Any

import httpx

_WIRE = Path(__file__).parent / "wire"


def recorded(provider: str, name: str) -> httpx.Response:
    example = _example(provider, name)
    return httpx.Response(example["status"], headers=example.get("headers"), json=example["body"])


def recorded_body(provider: str, name: str) -> dict[str, Any]:
    body: dict[str, Any] = _example(provider, name)["body"]
    return body


def _example(provider: str, name: str) -> dict[str, Any]:
    examples: dict[str, dict[str, Any]] = json.loads((_WIRE / f"{provider}.json").read_text())
    return examples[name]
