"""The hash of what a request means, whatever its bytes."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any

from domain.controls import Controls


def digest(meaning: Sequence[Any] | Mapping[str, Any]) -> str:
    """Return the hash. It must not be stored: domain/fingerprints.py says why."""
    canonical = json.dumps(meaning, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()


def generation_digest(
    model: str,
    parameters: Mapping[str, Any],
    metadata: Mapping[str, str],
    inputs: Sequence[str],
    mask: str | None,
    controls: Controls,
    max_cost: int | None,
) -> str:
    """Return the hash of a request for a generation, on whatever route it came."""
    given = {name: value for name, value in parameters.items() if value is not None}
    if inputs:
        given["inputs"] = [_short_form(image) for image in inputs]
    if mask is not None:
        given["mask"] = _short_form(mask)
    meaning: list[Any] = [model, given, dict(metadata)]
    if controls.retry_of is not None:  # what it repeats may be erased by now, and the address with it
        meaning, controls = [], replace(controls, webhook_url=None)
    if given_controls := _given_controls(controls):
        meaning.append(given_controls)
    if max_cost is not None:
        meaning.append({"max_cost": max_cost})
    return digest(meaning)


def _given_controls(controls: Controls) -> dict[str, Any]:
    """Return the controls that a client has set, but not which of its keys it used."""
    defaults = asdict(Controls())
    given = asdict(replace(controls, api_key_id=None))
    return {name: value for name, value in given.items() if value != defaults[name]}


def _short_form(image: str) -> str:
    """Return a data URI as its hash, anything else as it is."""
    return f"data:{hashlib.sha256(image.encode()).hexdigest()}" if image.startswith("data:") else image
