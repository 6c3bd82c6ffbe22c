"""One world for all workflow tests."""

from collections.abc import AsyncIterator

import pytest
from temporalio.client import Client

from adapters.database.engine import Database
from tests.integration.conftest import database, database_url, serving_url
from tests.support.world import World, running_world

__all__ = ["database", "database_url", "serving_url"]


@pytest.fixture(scope="session")
async def world(unit_temporal: Client, database: Database) -> AsyncIterator[World]:
    async with running_world(unit_temporal, database) as world:
        yield world
