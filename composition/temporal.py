"""The connection to Temporal."""

from datetime import timedelta

from temporalio.client import Client
from temporalio.runtime import Runtime

from adapters.temporal import TemporalWorkflowClient
from adapters.temporal_batches import TemporalBatches
from adapters.temporal_connection import TemporalAddress, connect, tls_of_files
from settings import Settings

__all__ = [
    "TemporalAddress",
    "batch_workflows",
    "connect",
    "temporal_address",
    "temporal_client",
    "workflow_client",
]

# For workers and operators: nobody waits for a response, and what a busy Temporal did not take is done again.
_CALL_SECONDS = 3.0


async def temporal_client(
    settings: Settings, *, lazy: bool = False, runtime: Runtime | None = None
) -> Client:
    """Connect now, or if `lazy` on the first call.

    Raises RuntimeError if Temporal is away, ValueError for a TLS that cannot be used or is missing.
    """
    return await connect(temporal_address(settings), lazy=lazy, runtime=runtime)


def temporal_address(settings: Settings) -> TemporalAddress:
    """Return where Temporal is. Any of the settings of TLS means TLS. Raises ValueError as above."""
    key = settings.temporal_api_key
    details = {
        "ca_file": settings.temporal_tls_ca_file,
        "cert_file": settings.temporal_tls_cert_file,
        "key_file": settings.temporal_tls_key_file,
        "server_name": settings.temporal_tls_server_name,
    }
    return TemporalAddress(
        settings.temporal_address,
        settings.temporal_namespace,
        key.get_secret_value() if key else None,
        tls_of_files(**details) if any(details.values()) else settings.temporal_tls,
    )


def workflow_client(
    settings: Settings,
    client: Client,
    *,
    background_calls: int = 0,
    call_seconds: float = _CALL_SECONDS,
) -> TemporalWorkflowClient:
    return TemporalWorkflowClient(
        client,
        task_timeout=timedelta(seconds=settings.workflow_task_timeout_seconds),
        background_calls=background_calls,
        call_seconds=call_seconds,
    )


def batch_workflows(
    settings: Settings, client: Client, *, call_seconds: float = _CALL_SECONDS
) -> TemporalBatches:
    return TemporalBatches(
        client,
        task_timeout=timedelta(seconds=settings.workflow_task_timeout_seconds),
        call_seconds=call_seconds,
    )
