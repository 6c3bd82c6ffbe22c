"""Fingerprints of requests from versions that stored bare hashes."""

from collections.abc import Callable

from sqlalchemy import text

from adapters.database.engine import Database

_BATCH = 1000
# By a partial index, in which no row of this version is.
_PLAIN = text(
    "SELECT id, fingerprint FROM generations WHERE length(fingerprint) = 64 ORDER BY id LIMIT :limit"
)
_SEAL = text("""
UPDATE generations SET fingerprint = sealed.fingerprint
FROM unnest(CAST(:ids AS text[]), CAST(:before AS text[]), CAST(:fingerprints AS text[]))
    AS sealed (id, before, fingerprint)
WHERE generations.id = sealed.id AND generations.fingerprint = sealed.before
""")


async def seal_fingerprints(database: Database, seal: Callable[[str], str]) -> int:
    """Replace bare hashes by what `seal` makes of them; return how many. Safe to repeat, also at once."""
    total = 0
    while rows := await database.call(_PLAIN, {"limit": _BATCH}):
        values = {
            "ids": [row.id for row in rows],
            "before": [row.fingerprint for row in rows],
            "fingerprints": [seal(row.fingerprint) for row in rows],
        }
        await database.call(_SEAL, values)
        total += len(rows)
    return total
