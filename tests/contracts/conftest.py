"""The real database for the suites that both the fakes and the adapters pass."""

from tests.integration.conftest import database, database_url

__all__ = ["database", "database_url"]
