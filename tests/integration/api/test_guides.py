"""What the guides tell people to run does run, as it is written there."""

import asyncio
import json
import os
import re
import sys
from pathlib import Path

import pytest

from tests.integration.api.operators.billing import billing_of
from tests.integration.api.service import Service, Tenant
from tests.support.time_limits import scaled

DOCS = Path(__file__).parents[3] / "docs"
_RUN_SECONDS = 60


def blocks(name: str, language: str) -> list[str]:
    """Return the blocks of code of a document that are in this language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", (DOCS / name).read_text(), re.MULTILINE | re.DOTALL)


@pytest.fixture
def environment(service: Service, tenant: Tenant) -> dict[str, str]:
    key = tenant.http.headers["Authorization"].removeprefix("Bearer ")
    return {**os.environ, "API_URL": service.url, "API_KEY": key, "no_proxy": "127.0.0.1"}


async def run(folder: Path, environment: dict[str, str], *command: str) -> str:
    process = await asyncio.create_subprocess_exec(
        *command,
        cwd=folder,
        env=environment,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    async with asyncio.timeout(scaled(_RUN_SECONDS)):
        output, _ = await process.communicate()
    assert process.returncode == 0, output.decode()
    return output.decode()


async def test_the_quick_start_runs_from_top_to_bottom(tmp_path: Path, environment: dict[str, str]) -> None:
    script = "\n".join(blocks("quickstart.md", "bash"))
    assert script.count("curl") >= 6
    printed = await run(tmp_path, environment, "bash", "-euo", "pipefail", "-c", script)
    assert "completed" in printed
    assert "generation.completed" in printed
    assert "price_credits" in printed
    assert (tmp_path / "lighthouse.jpg").stat().st_size > 1000


async def test_what_is_said_of_batches_runs_from_top_to_bottom(
    tmp_path: Path, environment: dict[str, str]
) -> None:
    script = "\n".join(blocks("batches.md", "bash"))
    printed = await run(tmp_path, environment, "bash", "-euo", "pipefail", "-c", script)
    assert "fox http" in printed
    assert "owl http" in printed
    assert "validating" in printed
    results = (tmp_path / "results.jsonl").read_text().splitlines()
    assert [json.loads(line)["custom_id"] for line in results] == ["fox", "owl"]


async def test_the_loop_that_waits_runs(tmp_path: Path, environment: dict[str, str]) -> None:
    [loop] = blocks("waiting.md", "python")
    assert await run(tmp_path, environment, sys.executable, "-c", loop) == "completed 1\n"


async def test_the_guide_to_top_ups_runs(
    service: Service, tmp_path: Path, environment: dict[str, str]
) -> None:
    tenant, billing = await service.tenant(credits=0), await billing_of(service)
    environment |= {"OPERATOR_KEY": billing.operator_key, "TENANT_ID": tenant.id}
    script = "\n".join(blocks("top-ups.md", "bash"))
    printed = await run(tmp_path, environment, "bash", "-euo", "pipefail", "-c", script)
    assert '"remaining": 0' in printed
    assert (await billing.balance(tenant)) == (0, 0, 0, 0)

    [program] = blocks("top-ups.md", "python")
    assert await run(tmp_path, environment, sys.executable, "-c", program) == "[400, 0]\n"
    assert (await billing.balance(tenant)) == (400, 0, 0, 0)
