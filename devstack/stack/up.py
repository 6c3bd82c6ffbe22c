"""`make up`: the stack in the foreground, with permanent data."""

import time
from pathlib import Path

from devstack.errors import Interrupted
from devstack.process.log import log
from devstack.process.stop_flag import StopFlag
from devstack.stack.running import Stack, running_stack
from devstack.stack.stack_file import STACK_FILE

IDLE_SECONDS = 3600.0


def up(folder: Path, *, stop: StopFlag) -> None:
    """Run until a signal. Raises Interrupted for one before the stack is ready."""
    started = time.monotonic()
    with running_stack(folder, stop=stop) as stack:
        log(f"ready after {time.monotonic() - started:.1f} s")
        log(summary(stack))
        wait_for_signal(stop)
        log("stopping …")
    log("stopped; `make up` continues with the same data")


def wait_for_signal(stop: StopFlag) -> None:
    try:
        while True:
            stop.wait(IDLE_SECONDS)
    except Interrupted:
        return


def summary(stack: Stack) -> str:
    """Return the addresses, and a command that makes an image."""
    servers = stack.servers
    return f"""
Darkroom is running; Ctrl-C stops it.

  API           {stack.api_url} (described at {stack.api_url}/docs)
  Metrics       {stack.api_internal_url}/metrics
  Temporal UI   {servers.temporal.ui_url or "(not known: TEMPORAL_UI_URL)"}
  S3            {servers.s3.endpoint}
  Simulators    {", ".join(f"{name} {url}" for name, url in servers.simulators.items())}
  Everything    {stack.folder / STACK_FILE}
  Logs          {stack.folder / "logs"}

For the examples of docs/:

  export API_URL={stack.api_url} API_KEY={stack.client.api_key} TENANT_ID={stack.client.tenant_id}

As its operator: .venv/bin/python -m devstack admin --help

Make an image:

  curl -s {stack.api_url}/v1/generations \\
    -H 'Authorization: Bearer {stack.client.api_key}' \\
    -H 'Content-Type: application/json' \\
    -d '{{"model": "flux-schnell", "prompt": "a lighthouse in fog", "size": "512x512"}}'
"""
