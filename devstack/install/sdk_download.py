"""`python -m devstack.install.sdk_download VERSION FOLDER`: downloads the Temporal CLI with the SDK.

It is a separate process, because the downloader also starts the server and holds a client.
"""

import asyncio
import sys

from temporalio.testing import WorkflowEnvironment

from runtime import process


async def fetch(_stop: asyncio.Event) -> int:
    version, folder = sys.argv[1:]
    environment = await WorkflowEnvironment.start_local(
        dev_server_download_version=version, download_dest_dir=folder, dev_server_log_level="error"
    )
    await environment.shutdown()
    return 0


if __name__ == "__main__":
    process.run(fetch)
