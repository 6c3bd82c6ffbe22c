"""The facts that numbers depend on besides the code: the machine and the versions."""

import importlib.metadata
import os
import platform
from typing import Any

import asyncpg
from temporalio.api.workflowservice.v1 import GetSystemInfoRequest
from temporalio.client import Client

from devstack.stack.running import Stack

TIMEOUT_SECONDS = 10.0


async def facts(client: Client, stack: Stack) -> dict[str, Any]:
    temporal = await client.workflow_service.get_system_info(GetSystemInfoRequest())
    connection = await asyncpg.connect(stack.servers.postgres.url, timeout=TIMEOUT_SECONDS)
    try:
        postgres = await connection.fetchval("show server_version", timeout=TIMEOUT_SECONDS)
    finally:
        await connection.close(timeout=TIMEOUT_SECONDS)
    return {
        "cores": os.cpu_count(),
        "system": platform.platform(),
        "python": platform.python_version(),
        "temporalio": importlib.metadata.version("temporalio"),
        "temporal_server": temporal.server_version,
        "postgres": postgres,
        # Over one before anything has begun: the machine is busy with something else.
        "load_average_before": round(os.getloadavg()[0], 2),
    }
