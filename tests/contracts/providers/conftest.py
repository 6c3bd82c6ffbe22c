"""Simulators that serve the whole suite, each started only if a test runs on it."""

from collections.abc import AsyncIterator

import pytest

from adapters.providers.http.client import provider_client
from adapters.transport.http import HttpClient
from tests.contracts.providers.all_cases import JOB_CASES
from tests.contracts.providers.job_case import USER_ID, JobCase
from tests.contracts.providers.job_harness import JobHarness
from tests.contracts.providers.simulated import SimulatedProvider
from tests.simulator.process import KEY
from tests.simulator.receiver import Receiver

QUICK = ("--job-seconds", "0.1", "--webhook-retry-seconds", "0.1,0.2,0.4", "--user-id", USER_ID)


class Simulators:
    """Starts each provider's simulator once and ends them all."""

    def __init__(self, folders: pytest.TempPathFactory) -> None:
        self._folders = folders
        self._running: dict[str, SimulatedProvider] = {}

    async def of(self, provider: str) -> SimulatedProvider:
        if provider not in self._running:
            simulator = SimulatedProvider(self._folders.mktemp(provider), QUICK, provider=provider)
            await simulator.start()
            self._running[provider] = simulator
        return self._running[provider]

    def stop(self) -> None:
        for simulator in self._running.values():
            simulator.stop()


@pytest.fixture(scope="session")
async def simulators(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Simulators]:
    running = Simulators(tmp_path_factory)
    yield running
    running.stop()


@pytest.fixture
async def http() -> AsyncIterator[HttpClient]:
    async with provider_client() as client:
        yield client


@pytest.fixture(params=JOB_CASES, ids=lambda case: case.name)
def case(request: pytest.FixtureRequest) -> JobCase:
    found: JobCase = request.param
    return found


@pytest.fixture
async def harness(case: JobCase, simulators: Simulators, http: HttpClient) -> JobHarness:
    simulator = await simulators.of(case.name)
    provider = case.make(http, simulator, KEY)
    return JobHarness(case, http, simulator, provider, await case.make_reader(http, simulator))


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    receiver = Receiver()
    await receiver.start()
    yield receiver
    await receiver.stop()
