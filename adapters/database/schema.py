"""The revision of the tables that this version of the code needs, and the lock of those who change it."""

from sqlalchemy import text
from sqlalchemy.exc import ProgrammingError

from adapters.database.engine import Database

# The newest migration in migrations/versions; a test holds that both agree.
REVISION = "0019"
# The key of the advisory lock that whoever changes tables or rights holds. The same in every version.
ONE_MIGRATOR = 7_237_001


class SchemaOutdated(RuntimeError):
    """The database was not migrated for this version. Not one of our errors: it only ends a process."""


async def require_revision(database: Database) -> None:
    """Raises SchemaOutdated if the tables are older than this code, or are not there."""
    try:
        async with database.each() as session:
            found = await session.scalar(text("SELECT version_num FROM alembic_version"))
    except ProgrammingError:
        found = None
    # A newer revision passes: a migration that breaks old processes refuses to run while they are connected.
    if found is None or str(found) < REVISION:
        raise SchemaOutdated(
            f"the database is at revision {found}, this version needs {REVISION}:"
            " run `python -m admin bootstrap`"
        )
