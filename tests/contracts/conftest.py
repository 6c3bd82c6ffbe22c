"""The real database for the suites that both the fakes and the adapters pass."""

import pytest

from adapters.database.engine import Database
from tests.contracts.subjects import Subject, in_memory, on_postgres
from tests.integration.conftest import database, database_url

__all__ = ["database", "database_url"]


@pytest.fixture(params=["memory", "postgres"])
def subject(request: pytest.FixtureRequest) -> Subject:
    if request.param == "memory":
        return in_memory()
    real: Database = request.getfixturevalue("database")
    return on_postgres(real)
