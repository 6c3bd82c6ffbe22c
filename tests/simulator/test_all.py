"""Every simulator in one process, each on its own port."""

from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from devstack.process.ports import pick_free
from simulator.registry import PROVIDERS
from tests.simulator.bfl.account import BflAccount
from tests.simulator.conftest import QUICK
from tests.simulator.process import Client, SimulatorProcess


@pytest.fixture
async def everything(tmp_path: Path) -> AsyncIterator[SimulatorProcess]:
    ports = [pick_free() for _ in PROVIDERS]
    options = (
        "--ports",
        ",".join(map(str, ports)),
        "--polling-port",
        str(pick_free()),
        "--job-seconds",
        "0.1",
    )
    running = SimulatorProcess(tmp_path, (*QUICK, *options), port=ports[0], provider="all")
    await running.start()
    yield running
    assert running.stop() == 0


async def test_each_provider_says_where_it_is_and_that_it_is_well(everything: SimulatorProcess) -> None:
    async with httpx.AsyncClient(trust_env=False) as http:
        providers = (await http.get(f"{everything.url}/_sim/providers")).json()["providers"]
        health = [(await http.get(f"{one['url']}/_sim/health")).json() for one in providers]

    assert [one["provider"] for one in providers] == list(PROVIDERS)
    assert [(one["provider"], one["status"]) for one in health] == [(name, "ok") for name in PROVIDERS]
    assert [one["provider"] for one in providers if "polling_url" in one] == ["bfl"]


async def test_their_jobs_are_kept_apart(everything: SimulatorProcess) -> None:
    fal = Client(everything.url)
    async with fal.http:
        providers = (await fal.http.get("/_sim/providers")).json()["providers"]
        bfl = BflAccount(next(one["url"] for one in providers if one["provider"] == "bfl"))
        async with bfl.http:
            sample = await bfl.sample(await bfl.submitted("of bfl"))
            result = await fal.result(await fal.submitted("of fal"))
            prompts = {
                name: [job["prompt"] for job in (await one.http.get("/_sim/jobs")).json()["jobs"]]
                for name, one in (("fal", fal), ("bfl", bfl))
            }

    assert (sample.status_code, result.status_code) == (200, 200)
    assert prompts == {"fal": ["of fal"], "bfl": ["of bfl"]}
