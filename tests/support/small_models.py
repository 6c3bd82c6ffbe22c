"""The small catalog next to this file, and input files for it."""

from datetime import UTC, datetime
from pathlib import Path

from adapters.catalog.models_toml import load_catalog
from domain.catalog import Catalog
from domain.input_files import ImageFacts, InputFile

_FILE = Path(__file__).with_name("small_models.toml")


def small_catalog() -> Catalog:
    """Return the catalog; its provider `off` is disabled."""
    return load_catalog(_FILE, providers=("fal", "other"), queue_timeout_seconds=1)


def stored(
    file_id: str = "file_1",
    *,
    width: int = 100,
    height: int = 100,
    content_type: str = "image/png",
    size_bytes: int = 400,
    has_alpha: bool = False,
) -> InputFile:
    """Return an input file with these facts."""
    now = datetime.now(UTC)
    facts = ImageFacts(width, height, content_type, size_bytes, "0" * 64, has_alpha)
    return InputFile(file_id, "ten_1", f"ten_1/files/{file_id}", facts, now, now)
