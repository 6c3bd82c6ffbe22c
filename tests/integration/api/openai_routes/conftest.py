"""An API and a worker that have OpenAI's models too, and the simulator behind them."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import pytest

from devstack.servers.running import Servers
from tests.integration.api.conftest import settings_for
from tests.integration.api.service import Service, listening, serving, working
from tests.simulator.process import KEY, Client
from tests.simulator.synchronous import running


@pytest.fixture(scope="module")
async def simulator(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Client]:
    headers = {"Authorization": f"Bearer {KEY}"}
    async with running("openai", tmp_path_factory.mktemp("openai"), headers) as client:
        yield client


@pytest.fixture(scope="module")
async def url(servers: Servers, service: Service, simulator: Client) -> AsyncIterator[str]:
    """Run an API and a worker that have OpenAI's models too; yield the address."""
    async with AsyncExitStack() as exits:
        listener = exits.enter_context(listening())
        port = int(listener.getsockname()[1])
        owner_url = service.settings.migration_database_url
        assert owner_url is not None
        settings = settings_for(
            servers,
            owner_url.get_secret_value(),
            port,
            str(service.fal.http.base_url).rstrip("/"),
            service.pictures.origin,
            openai_api_key=KEY,
            openai_url=f"{str(simulator.http.base_url).rstrip('/')}/v1",
            openai_submits_per_second=50,
        )
        await exits.enter_async_context(working(settings, service.database))
        await exits.enter_async_context(serving(settings, listener))
        yield f"http://127.0.0.1:{port}"
