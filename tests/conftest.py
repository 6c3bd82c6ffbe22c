"""Real servers for the whole run, started once and only if a test asks for them."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from temporalio.api.workflowservice.v1 import RegisterNamespaceRequest
from temporalio.client import Client
from temporalio.service import RPCError
from temporalio.worker._workflow import _WorkflowWorker

from admin.bootstrap import register_search_attributes
from devstack.servers.running import Servers, running_servers
from runtime.process import leave, let_go
from tests.support.eventually import eventually
from tests.support.time_limits import scaled

pytest_plugins = ["tests.support.time_limits_plugin"]

_ON_SIMULATORS = [
    Path(__file__).parent / folder for folder in ("simulator", "contracts/providers", "integration")
]
_TASK_SECONDS = 30
_exit_code = 0


def pytest_itemcollected(item: pytest.Item) -> None:
    """Mark tests that use servers or simulators. A suite that starts its own servers marks itself."""
    uses_servers = isinstance(item, pytest.Function) and "servers" in item.fixturenames
    if uses_servers or any(item.path.is_relative_to(folder) for folder in _ON_SIMULATORS):
        item.add_marker("needs_servers")


@pytest.fixture(scope="session", autouse=True)
def _slow_workflow_tasks_are_no_deadlocks() -> Iterator[None]:
    """Let a workflow task take as long as a busy machine needs.

    The SDK takes one that runs for 2 s for a deadlock. In these tests' sandbox, which loads every module, it
    may; one that hangs is ended by the time limit of its test.
    """
    limit = property(lambda _: scaled(_TASK_SECONDS), lambda _, __: None)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_WorkflowWorker, "_deadlock_timeout_seconds", limit, raising=False)
        yield


@pytest.fixture(scope="session")
def servers(request: pytest.FixtureRequest) -> Iterator[Servers]:
    """Start PostgreSQL, Temporal and MinIO, on free ports with temporary data."""
    assert "not needs_servers" not in request.config.option.markexpr, (
        "this test has to be marked needs_servers"
    )
    with running_servers(with_simulators=False) as servers:
        yield servers


@pytest.fixture(scope="session")
async def unit_temporal(servers: Servers) -> AsyncIterator[Client]:
    """Return a client in the namespace of the workflow tests."""
    yield await namespaced_client(servers, "unit")
    await asyncio.sleep(0)


async def namespaced_client(servers: Servers, namespace: str) -> Client:
    """Create a namespace with our search attributes; return a client in it."""
    client = await Client.connect(servers.temporal.address, namespace=namespace)
    retention = timedelta(days=1)
    wanted = RegisterNamespaceRequest(namespace=namespace)
    wanted.workflow_execution_retention_period.FromTimedelta(retention)
    await client.workflow_service.register_namespace(wanted)

    async def has_attributes() -> bool:
        try:
            await register_search_attributes(client)
        except RPCError:  # the frontend does not know the namespace yet
            return False
        return True

    await eventually(has_attributes, timeout_seconds=30)
    return client


def pytest_sessionfinish(exitstatus: int) -> None:
    global _exit_code
    _exit_code = exitstatus


@pytest.hookimpl(trylast=True)
def pytest_unconfigure() -> None:
    """Exit at once: a process that held a Temporal client may crash in its finalizers."""
    leave(_exit_code)


@pytest.fixture(scope="session", autouse=True)
async def _let_go_in_the_end() -> AsyncIterator[None]:
    yield
    await let_go()
