"""Schemathesis against the running service: what the API describes is what it does."""

import asyncio
import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from api.http import examples
from api.http.batch_examples import BATCH_FILE_ID
from api.http.openapi import OPERATOR_TAGS, TAGS
from tests.integration.api.operators.billing import billing_of, payment_id
from tests.integration.api.owned import owner_of
from tests.integration.api.service import Service
from tests.support.time_limits import scaled

FOLDER = Path(__file__).parent / "schemathesis"
ROOT = Path(__file__).parents[3]
SEED = 12
# An erased generation is read as before, without its content, and what was done to it is in its events.
# A revoked key is listed as before.
# To who brings no operator's key, operators' routes are not there: 404, not 401.
EXCLUDED = {
    "generations": ["--exclude-checks", "use_after_free"],
    "keys": ["--exclude-checks", "use_after_free"],
    "operators": ["--exclude-checks", "ignored_auth,missing_required_header"],
}
MAX_EXAMPLES = 10
MAX_SECONDS = 150


@pytest.mark.parametrize("tag", TAGS)
async def test_the_api_does_what_it_describes(service: Service, tag: str, tmp_path: Path) -> None:
    owner = await owner_of(await service.tenant(credits=100_000))
    real_ids = {
        examples.PARAMETERS[name]: next(iter(states.values()))
        for name, states in owner.ids.items()
        if name in examples.PARAMETERS
    }
    real_ids[BATCH_FILE_ID] = next(iter(owner.ids["batch_file_id"].values()))
    authorization = owner.tenant.http.headers["authorization"]
    await run_schemathesis(service, service.url, tag, authorization, real_ids, tmp_path)
    await owner.close()


@pytest.mark.parametrize("tag", OPERATOR_TAGS)
async def test_operators_routes_do_what_they_describe(service: Service, tag: str, tmp_path: Path) -> None:
    tenant, billing = await service.tenant(credits=0), await billing_of(service)
    real_ids = {examples.PARAMETERS["tenant_id"]: tenant.id, examples.PARAMETERS["reference"]: payment_id()}
    await billing.granted(tenant, 1000, real_ids[examples.PARAMETERS["reference"]])
    authorization = f"Bearer {billing.operator_key}"
    await run_schemathesis(service, service.internal_url, tag, authorization, real_ids, tmp_path)


async def run_schemathesis(
    service: Service,
    described_at: str,
    tag: str,
    authorization: str,
    real_ids: Mapping[str, str],
    folder: Path,
) -> None:
    """Send what the description has and what it has not, and what is made of both. folder: to work in."""
    command = [
        *(sys.executable, "-m", "schemathesis.cli", "--config-file", str(FOLDER / "schemathesis.toml")),
        *("run", f"{described_at}/openapi.json", "--url", service.url),
        *("--header", f"Authorization:{authorization}"),
        *("--include-tag", tag, "--checks", "all", "--mode", "all"),
        *("--phases", "examples,coverage,fuzzing,stateful"),
        *("--seed", str(SEED), "--max-examples", str(MAX_EXAMPLES), "--generation-database", "none"),
        *EXCLUDED.get(tag, []),
        *("--continue-on-failure", "--no-color"),
    ]
    process = await asyncio.create_subprocess_exec(
        *command,
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(ROOT), "REAL_IDS": json.dumps(real_ids)},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    async with asyncio.timeout(scaled(MAX_SECONDS)):
        output, _ = await process.communicate()
    assert process.returncode == 0, output.decode()
