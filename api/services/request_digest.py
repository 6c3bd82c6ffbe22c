"""The hash of what a request means, whatever its bytes."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any


def digest(meaning: Sequence[Any] | Mapping[str, Any]) -> str:
    """Return the hash. It must not be stored: domain/fingerprints.py says why."""
    canonical = json.dumps(meaning, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()
