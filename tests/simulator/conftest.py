"""One quick simulator serves most tests; each test uses its own prompts."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from devstack.process.ports import pick_free
from tests.simulator.bfl.account import BflAccount
from tests.simulator.process import Client, SimulatorProcess
from tests.simulator.receiver import Receiver
from tests.simulator.replicate.account import ReplicateAccount

QUICK = ("--job-seconds", "0.1", "--webhook-retry-seconds", "0.1,0.1,0.2,0.2,0.4,0.4", "--user-id", "user-1")


@pytest.fixture(scope="session")
async def simulator(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[SimulatorProcess]:
    running = SimulatorProcess(tmp_path_factory.mktemp("simulator"), QUICK)
    await running.start()
    yield running
    assert running.stop() == 0


@pytest.fixture
async def client(simulator: SimulatorProcess) -> AsyncIterator[Client]:
    client = Client(simulator.url)
    async with client.http:
        yield client
        await client.http.delete("/_sim/faults")


@pytest.fixture(scope="session")
async def replicate_simulator(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[SimulatorProcess]:
    running = SimulatorProcess(tmp_path_factory.mktemp("replicate"), QUICK, provider="replicate")
    await running.start()
    yield running
    assert running.stop() == 0


@pytest.fixture
async def replicate_account(replicate_simulator: SimulatorProcess) -> AsyncIterator[ReplicateAccount]:
    account = ReplicateAccount(replicate_simulator.url)
    async with account.http:
        yield account
        await account.http.delete("/_sim/faults")


@pytest.fixture(scope="session")
async def bfl_simulator(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[SimulatorProcess]:
    options = (*QUICK, "--polling-port", str(pick_free()))
    running = SimulatorProcess(tmp_path_factory.mktemp("bfl"), options, provider="bfl")
    await running.start()
    yield running
    assert running.stop() == 0


@pytest.fixture
async def bfl_account(bfl_simulator: SimulatorProcess) -> AsyncIterator[BflAccount]:
    account = BflAccount(bfl_simulator.url)
    async with account.http:
        yield account
        await account.http.delete("/_sim/faults")


@pytest.fixture
async def own_simulator(tmp_path: Path) -> AsyncIterator[SimulatorProcess]:
    """Return a simulator that the test may stop and restart."""
    running = SimulatorProcess(tmp_path, QUICK)
    await running.start()
    yield running
    running.stop()


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    receiver = Receiver()
    await receiver.start()
    yield receiver
    await receiver.stop()
