"""Responses as providers' documents and recorded traffic show them, from each folder's `wire.json`."""

import json
from pathlib import Path
from typing import Any

import httpx

_FOLDER = Path(__file__).parent


def recorded(provider: str, name: str) -> httpx.Response:
    example = _example(provider, name)
    return httpx.Response(example["status"], headers=example.get("headers"), json=example["body"])


def recorded_body(provider: str, name: str) -> dict[str, Any]:
    body: dict[str, Any] = _example(provider, name)["body"]
    return body


def _example(provider: str, name: str) -> dict[str, Any]:
    examples: dict[str, dict[str, Any]] = json.loads((_FOLDER / provider / "wire.json").read_text())
    return examples[name]
