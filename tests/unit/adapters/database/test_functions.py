"""The functions of the database are installed by a migration, and again by another when they change."""

import re
from pathlib import Path

from adapters.database import functions

ROOT = Path(__file__).parents[4]
MIGRATIONS = sorted((ROOT / "migrations/versions").glob("[0-9]*.py"))
DIGEST = re.compile(r'^FUNCTIONS_SHA256 = "(\w+)"$', re.MULTILINE)


def test_the_newest_migration_of_functions_installs_these() -> None:
    """A database that was migrated before a change would keep the old ones: add a migration."""
    digests = [found[1] for file in MIGRATIONS if (found := DIGEST.search(file.read_text()))]
    assert digests[-1] == functions.sha256(), functions.sha256()


def test_every_function_is_installed() -> None:
    sources = [file.read_text() for file in (ROOT / "adapters/database/functions").glob("*.sql")]
    installed = [statement for statement in functions.statements() if "FUNCTION" in statement]
    assert len(installed) == sum(source.count("CREATE OR REPLACE FUNCTION") for source in sources)
    for statement in installed:
        assert statement.startswith("CREATE OR REPLACE FUNCTION ")
        assert statement.endswith("$$")
        assert statement.count("$$") == 2
