"""Schemathesis against the running service: what the API describes is what it does."""

import asyncio
import json
import os
import sys
from pathlib import Path

import pytest

from api.http import examples
from api.http.openapi import TAGS
from tests.integration.api.owned import owner_of
from tests.integration.api.service import Service
from tests.support.time_limits import scaled

FOLDER = Path(__file__).parent / "schemathesis"
ROOT = Path(__file__).parents[3]
SEED = 12
# An erased generation is read as before, without its content, and what was done to it is in its events.
EXCLUDED = {"generations": ["--exclude-checks", "use_after_free"]}
MAX_EXAMPLES = 10
MAX_SECONDS = 150


@pytest.mark.parametrize("tag", TAGS)
async def test_the_api_does_what_it_describes(service: Service, tag: str, tmp_path: Path) -> None:
    owner = await owner_of(await service.tenant(credits=100_000))
    real_ids = {examples.PARAMETERS[name]: next(iter(states.values())) for name, states in owner.ids.items()}
    command = [
        *(sys.executable, "-m", "schemathesis.cli", "--config-file", str(FOLDER / "schemathesis.toml")),
        *("run", f"{service.url}/openapi.json", "--url", service.url),
        *("--header", f"Authorization:{owner.tenant.http.headers['authorization']}"),
        *("--include-tag", tag, "--checks", "all", "--mode", "all"),
        *("--phases", "examples,coverage,fuzzing,stateful"),
        *("--seed", str(SEED), "--max-examples", str(MAX_EXAMPLES), "--generation-database", "none"),
        *EXCLUDED.get(tag, []),
        *("--continue-on-failure", "--no-color"),
    ]
    process = await asyncio.create_subprocess_exec(
        *command,
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(ROOT), "REAL_IDS": json.dumps(real_ids)},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    async with asyncio.timeout(scaled(MAX_SECONDS)):
        output, _ = await process.communicate()

    await owner.close()
    assert process.returncode == 0, output.decode()
