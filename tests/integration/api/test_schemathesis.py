"""Schemathesis against the running service: what the API describes is what it does."""

import asyncio
import os
import sys
from pathlib import Path

from tests.integration.api.service import Service
from tests.support.time_limits import scaled

FOLDER = Path(__file__).parent / "schemathesis"
ROOT = Path(__file__).parents[3]
SEED = 12
MAX_EXAMPLES = 20
MAX_SECONDS = 170


async def test_the_api_does_what_it_describes(service: Service) -> None:
    tenant = await service.tenant(credits=100_000)
    command = [
        *(sys.executable, "-m", "schemathesis.cli", "--config-file", str(FOLDER / "schemathesis.toml")),
        *("run", f"{service.url}/openapi.json", "--url", service.url),
        *("--header", f"Authorization:{tenant.http.headers['authorization']}"),
        *("--checks", "all", "--mode", "all", "--phases", "examples,coverage,fuzzing,stateful"),
        *("--seed", str(SEED), "--max-examples", str(MAX_EXAMPLES), "--generation-database", "none"),
        *("--continue-on-failure", "--no-color"),
    ]
    process = await asyncio.create_subprocess_exec(
        *command,
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    async with asyncio.timeout(scaled(MAX_SECONDS)):
        output, _ = await process.communicate()

    assert process.returncode == 0, output.decode()
