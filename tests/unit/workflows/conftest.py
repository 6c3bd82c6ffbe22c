"""One world for all workflow tests."""

from collections.abc import AsyncIterator

import pytest
from temporalio.client import Client

from tests.support.world import World, running_world


@pytest.fixture(scope="session")
async def world(unit_temporal: Client) -> AsyncIterator[World]:
    async with running_world(unit_temporal) as world:
        yield world
