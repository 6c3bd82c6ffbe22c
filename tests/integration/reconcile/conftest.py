"""A running service whose API reaches Temporal through a proxy, and a reconciler that runs on demand."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import timedelta

import pytest
from temporalio.client import Client, WorkflowHandle
from temporalio.service import RPCError, RPCStatusCode

from activities.reconcile import ReconcilePlan
from adapters.database.generations import PostgresGenerations
from admin.bootstrap import bootstrap
from composition import repositories
from devstack.servers.running import Servers
from domain import temporal_names
from domain.generation import Generation
from tests.conftest import namespaced_client
from tests.integration.api.conftest import QUICK, settings_for
from tests.integration.api.pictures import picture_server
from tests.integration.api.service import Service, Tenant, listening, serving, working
from tests.integration.conftest import new_database
from tests.integration.reconcile.temporal_proxy import TemporalProxy
from tests.simulator.process import Client as FalClient
from tests.simulator.process import SimulatorProcess
from tests.support.requests import new_id
from workflows.generation import GenerationWorkflow
from workflows.reconcile import ReconcileWorkflow

NAMESPACE = "reconcile"
# Everything counts as left behind at once, so that no test waits for it to grow old.
NOW = ReconcilePlan(stranded_seconds=0, unrelayed_seconds=0, unswept_seconds=0)


@dataclass
class Site:
    """The service, the proxy between its API and Temporal, and Temporal itself."""

    service: Service
    temporal: Client
    proxy: TemporalProxy

    async def reconcile(self, plan: ReconcilePlan = NOW) -> dict[str, int]:
        """Run the reconciler once on the real worker; return its repairs."""
        done = await self.temporal.execute_workflow(
            ReconcileWorkflow.run,
            plan,
            id=new_id("reconcile"),
            task_queue=temporal_names.RECONCILE_QUEUE,
            execution_timeout=timedelta(seconds=30),
        )
        return {kind: times for kind, times in done.items() if times}

    def run(self, generation_id: str) -> WorkflowHandle[GenerationWorkflow, object]:
        return self.temporal.get_workflow_handle(generation_id)

    async def has_run(self, generation_id: str) -> bool:
        try:
            await self.run(generation_id).describe()
        except RPCError as error:
            if error.status is RPCStatusCode.NOT_FOUND:
                return False
            raise
        return True

    async def row(self, generation_id: str) -> Generation:
        return await PostgresGenerations(self.service.database).get_generation(generation_id)


@pytest.fixture(scope="session")
async def site(servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Site]:
    """Start the service in its own namespace. Only runs that the reconciler starts poll early."""
    temporal = await namespaced_client(servers, new_id(NAMESPACE))
    simulator = SimulatorProcess(tmp_path_factory.mktemp("fal"), QUICK)
    proxy = TemporalProxy(servers.temporal.address)
    async with AsyncExitStack() as exits:
        listener = exits.enter_context(listening())
        await simulator.start()
        exits.callback(simulator.stop)
        await proxy.listen()
        exits.push_async_callback(proxy.close)
        port, database_url = int(listener.getsockname()[1]), await new_database(servers.postgres.url)
        pictures = await exits.enter_async_context(picture_server())
        ours = settings_for(servers, database_url, port, simulator.url, pictures.origin).model_copy(
            update={"temporal_namespace": temporal.namespace, "s3_bucket": "reconcile-tests"}
        )
        database = repositories.database(ours)
        exits.push_async_callback(database.close)
        await bootstrap(ours)
        of_worker = ours.model_copy(update={"first_poll_cap_seconds": 0.5})
        await exits.enter_async_context(working(of_worker, database))
        of_api = ours.model_copy(update={"temporal_address": proxy.address, "first_poll_cap_seconds": None})
        internal_url = await exits.enter_async_context(serving(of_api, listener))
        fal = FalClient(simulator.url)
        await exits.enter_async_context(fal.http)
        yield Site(
            Service(ours.public_url, internal_url, ours, database, fal, pictures, exits), temporal, proxy
        )


@pytest.fixture
async def tenant(site: Site) -> Tenant:
    return await site.service.tenant()


async def job_at_work(tenant: Tenant, prompt: str) -> str:
    """Return the id of a generation that its provider works on, without end with `[sim:hang]`."""
    generation_id = str((await tenant.posted(prompt))["id"])
    await tenant.generating(generation_id)
    return generation_id


async def delivered(service: Service, *prompts: str) -> bool:
    """Return whether the API has accepted the webhooks of these jobs."""
    logs = [await service.fal_log(prompt, "webhook_sent") for prompt in prompts]
    return all(any(sent["status"] == 200 for sent in log) for log in logs)
