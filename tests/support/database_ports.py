"""Ports of activities that tests use as they are, on the real database."""

from typing import Any

from adapters.database.assets import PostgresAssets
from adapters.database.book_checks import PostgresBookChecks
from adapters.database.engine import Database
from adapters.database.erasure import PostgresErasure
from adapters.database.generations import PostgresGenerations
from adapters.database.input_files import PostgresInputFiles
from adapters.database.lots import PostgresLots
from adapters.database.partial_images import PostgresPartialImages


def database_ports(database: Database) -> dict[str, Any]:
    """Return arguments of `ActivityPorts`."""
    return {
        "assets": PostgresAssets(database),
        "book_checks": PostgresBookChecks(database),
        "erasure": PostgresErasure(database),
        "generations": PostgresGenerations(database),
        "input_files": PostgresInputFiles(database),
        "lots": PostgresLots(database),
        "partial_images": PostgresPartialImages(database),
    }
