"""A simulated fal, started only if a test needs it."""

from collections.abc import AsyncIterator

import pytest

from adapters.providers.fal.adapter import FalProvider
from adapters.providers.http.client import provider_client
from adapters.transport.http import HttpClient
from tests.simulator.process import KEY, SimulatorProcess
from tests.unit.adapters.providers.fal.signing import USER_ID
from tests.unit.adapters.providers.fal.simulated_jobs import fal_with

QUICK = ("--job-seconds", "0.05", "--webhook-retry-seconds", "0.1,0.2,0.4", "--user-id", USER_ID)


@pytest.fixture(scope="session")
async def fal_simulator(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[SimulatorProcess]:
    running = SimulatorProcess(tmp_path_factory.mktemp("fal"), QUICK)
    await running.start()
    yield running
    assert running.stop() == 0


@pytest.fixture
async def http() -> AsyncIterator[HttpClient]:
    async with provider_client() as client:
        yield client


@pytest.fixture
def fal(http: HttpClient, fal_simulator: SimulatorProcess) -> FalProvider:
    return fal_with(http, fal_simulator, KEY)
