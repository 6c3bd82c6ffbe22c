"""Usage events for a billing system, on the real adapters."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import uuid4

from activities.usage_sender import UsageSender
from adapters.billing_receiver import HttpBillingReceiver, billing_client
from adapters.database.engine import Database
from adapters.database.usage_outbox import PostgresUsageOutbox
from settings import Settings

_TIMEOUT_SECONDS = 20.0
# So that a batch ends, whatever it waited for, before another process may send it.
_LEASE_SECONDS = 3 * _TIMEOUT_SECONDS


@asynccontextmanager
async def sending_usage_events(settings: Settings, database: Database) -> AsyncIterator[None]:
    """Send usage events while the block runs, if there is a billing system."""
    if settings.billing_events_url is None:
        yield
        return
    token = settings.billing_events_token
    async with billing_client(_TIMEOUT_SECONDS) as client:
        receiver = HttpBillingReceiver(
            client,
            settings.billing_events_url,
            token.get_secret_value() if token is not None else None,
            settings.billing_events_source or settings.public_url,
            timeout_seconds=_TIMEOUT_SECONDS,
        )
        name = f"{socket.gethostname()}:{uuid4().hex}"
        sender = UsageSender(PostgresUsageOutbox(database), receiver, name, lease_seconds=_LEASE_SECONDS)
        stop = asyncio.Event()
        running = asyncio.create_task(sender.run(stop))
        try:
            yield
        finally:
            stop.set()
            await running
