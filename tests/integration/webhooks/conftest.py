"""One service whose webhooks may go to receivers of these tests, by a schedule of tenths of a second."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import pytest

from admin.bootstrap import bootstrap
from composition import repositories
from devstack.servers.running import Servers
from tests.conftest import namespaced_client
from tests.integration.api.conftest import QUICK, settings_for
from tests.integration.api.pictures import picture_server
from tests.integration.api.service import Service, Tenant, listening, serving, working
from tests.integration.conftest import new_database
from tests.simulator.process import Client as FalClient
from tests.simulator.process import SimulatorProcess
from tests.support.requests import new_id
from tests.support.webhook_receiver import Receiver, receiving

SCHEDULE_SECONDS = (0.0, 0.1, 0.2, 0.3)


@pytest.fixture(scope="session")
async def receiver() -> AsyncIterator[Receiver]:
    async with receiving() as receiver:
        yield receiver


@pytest.fixture(scope="session")
async def service(
    servers: Servers, tmp_path_factory: pytest.TempPathFactory, receiver: Receiver
) -> AsyncIterator[Service]:
    simulator = SimulatorProcess(tmp_path_factory.mktemp("fal"), QUICK)
    async with AsyncExitStack() as exits:
        listener = exits.enter_context(listening())
        await simulator.start()
        exits.callback(simulator.stop)
        port = int(listener.getsockname()[1])
        owner_url = await new_database(servers.postgres.url)
        pictures = await exits.enter_async_context(picture_server())
        settings = settings_for(servers, owner_url, port, simulator.url, pictures.origin).model_copy(
            update={
                "s3_bucket": "webhook-tests",
                # Other tests have workers, too, on other databases.
                "temporal_namespace": (await namespaced_client(servers, new_id("webhooks"))).namespace,
                "delivery_origins": (receiver.origin,),
                "delivery_schedule_seconds": SCHEDULE_SECONDS,
                "delivery_timeout_seconds": 2.0,
                "delivery_slow_down_seconds": 0.3,
            }
        )
        database = repositories.database(settings)
        exits.push_async_callback(database.close)
        await bootstrap(settings)
        await exits.enter_async_context(working(settings, database))
        internal_url = await exits.enter_async_context(serving(settings, listener))
        fal = FalClient(simulator.url)
        await exits.enter_async_context(fal.http)
        yield Service(settings.public_url, internal_url, settings, database, fal, pictures, exits)


@pytest.fixture
async def tenant(service: Service) -> Tenant:
    return await service.tenant()
