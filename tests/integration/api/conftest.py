"""One running service for all of these tests; each test creates its own tenants."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any

import pytest

from adapters.database.roles import SERVING_ROLE
from admin.bootstrap import bootstrap
from composition import ServiceSettings, repositories
from devstack.servers.running import Servers
from tests.integration.api.pictures import LARGEST_INPUT_BYTES, LARGEST_PIXELS, picture_server
from tests.integration.api.service import Service, Tenant, listening, serving, working
from tests.integration.conftest import new_database, url_of
from tests.simulator.process import KEY, SimulatorProcess
from tests.simulator.process import Client as FalClient

USER_ID = "user-1"
QUICK = ("--job-seconds", "0.1", "--webhook-retry-seconds", "0.1,0.1,0.2", "--user-id", USER_ID)


def settings_for(
    servers: Servers, owner_url: str, api_port: int, fal_url: str, pictures_url: str, **others: Any
) -> ServiceSettings:
    """Return production settings for test servers, with short timing and no reconciler.

    As in production, the service has the rights of the role that serves, and only bootstrap the owner's.
    """
    return ServiceSettings(
        master_key="a master key that only these tests use",
        database_url=url_of(SERVING_ROLE, owner_url),
        migration_database_url=owner_url,
        temporal_address=servers.temporal.address,
        temporal_namespace=servers.temporal.namespace,
        s3_endpoint=servers.s3.endpoint,
        s3_access_key=servers.s3.access_key,
        s3_secret_key=servers.s3.secret_key,
        s3_region=servers.s3.region,
        s3_bucket="api-tests",
        api_failed_keys_per_minute=10_000,
        public_url=f"http://127.0.0.1:{api_port}",
        max_input_bytes=LARGEST_INPUT_BYTES,
        max_image_pixels=LARGEST_PIXELS,
        input_hosts=("*", pictures_url),
        delivery_schedule_seconds=(0.0,),
        input_timeout_seconds=3,
        fal_key=KEY,
        fal_user_id=USER_ID,
        fal_queue_url=fal_url,
        fal_jwks_url=f"{fal_url}/.well-known/jwks.json",
        fal_result_hosts=(fal_url,),
        fal_submits_per_second=100,
        deadline_cap_seconds=60,
        first_poll_cap_seconds=3,
        reconcile_every_seconds=3600,
        worker_grace_seconds=2,
        api_background_calls=0,  # what Temporal does not take at once is left to the reconciler
        **others,
    )


@pytest.fixture(scope="session")
async def service(servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Service]:
    simulator = SimulatorProcess(tmp_path_factory.mktemp("fal"), QUICK)
    async with AsyncExitStack() as exits:
        listener = exits.enter_context(listening())
        await simulator.start()
        exits.callback(simulator.stop)
        port = int(listener.getsockname()[1])
        owner_url = await new_database(servers.postgres.url)
        pictures = await exits.enter_async_context(picture_server())
        settings = settings_for(servers, owner_url, port, simulator.url, pictures.origin)
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
