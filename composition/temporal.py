"""The connection to Temporal."""

from datetime import timedelta

from temporalio.client import Client
from temporalio.runtime import Runtime

from adapters.temporal import TemporalAddress, TemporalWorkflowClient, connect
from settings import Settings

__all__ = ["TemporalAddress", "connect", "temporal_client", "workflow_client"]

# For workers and operators: nobody waits for a response, and what a busy Temporal did not take is done again.
_CALL_SECONDS = 3.0


async def temporal_client(
    settings: Settings, *, lazy: bool = False, runtime: Runtime | None = None
) -> Client:
    """Connect now, or if `lazy` on the first call. Raises RuntimeError if Temporal is away."""
    key = settings.temporal_api_key
    address = TemporalAddress(
        settings.temporal_address,
        settings.temporal_namespace,
        key.get_secret_value() if key else None,
        settings.temporal_tls,
    )
    return await connect(address, lazy=lazy, runtime=runtime)


def workflow_client(
    settings: Settings,
    client: Client,
    *,
    background_starts: int = 0,
    call_seconds: float = _CALL_SECONDS,
) -> TemporalWorkflowClient:
    return TemporalWorkflowClient(
        client,
        task_timeout=timedelta(seconds=settings.workflow_task_timeout_seconds),
        background_starts=background_starts,
        call_seconds=call_seconds,
    )
