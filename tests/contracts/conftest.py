"""The real database for the contract suites."""

import pytest

from adapters.database.engine import Database
from tests.contracts.subjects import Subject, on_postgres
from tests.integration.conftest import database, database_url, serving_url

__all__ = ["database", "database_url", "serving_url"]


@pytest.fixture
def subject(database: Database) -> Subject:
    return on_postgres(database)
