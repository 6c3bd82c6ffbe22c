"""Shows that the DBOS side does what it is compared for, before it is measured.

Success through a webhook is what every measured generation shows.
"""

import asyncio
import time
from asyncio import TaskGroup
from dataclasses import dataclass
from typing import Any

import httpx

from benchmarks.darkroom_target import REQUEST
from benchmarks.errors import RunFailed
from devstack.stack.running import Stack

REQUEST_TIMEOUT_SECONDS = 30.0
CASE_TIMEOUT_SECONDS = 90.0
LOOK_EVERY_SECONDS = 0.25


@dataclass(frozen=True)
class Case:
    """A fault of the simulator, and how a generation with it must end.

    cancel_at: the stage at which the client cancels it.
    """

    fault: str
    status: str
    charged: int
    cancel_at: str | None = None


CASES = (
    Case("drop_webhook", "completed", charged=1),  # a poll finds the result
    Case("hang", "canceled", charged=0, cancel_at="generating"),
    Case("reject", "failed", charged=0),  # by the fallback's provider as well
)


async def check_side(stack: Stack) -> None:
    """Run every case at once. Raises RunFailed for the first that ends otherwise."""
    async with httpx.AsyncClient(
        base_url=stack.api_url,
        headers=stack.authorization,
        timeout=REQUEST_TIMEOUT_SECONDS,
        trust_env=False,
    ) as http:
        try:
            async with TaskGroup() as cases:
                for case in CASES:
                    cases.create_task(_check(http, case))
        except ExceptionGroup as failures:
            raise RunFailed(f"the DBOS side: {failures.exceptions[0]!r}") from failures


async def _check(http: httpx.AsyncClient, case: Case) -> None:
    request = REQUEST | {"prompt": f"{REQUEST['prompt']} [sim:{case.fault}]"}
    response = await http.post("/v1/generations", json=request)
    if response.status_code != httpx.codes.ACCEPTED:
        raise RunFailed(f"POST /v1/generations returned {response.status_code}: {response.text}")
    url = f"/v1/generations/{response.json()['id']}"
    if case.cancel_at is not None:
        await _until(http, url, "stage", {case.cancel_at})
        await http.post(f"{url}/cancel")
    ended = await _until(http, url, "status", {"completed", "failed", "canceled"})
    found = (ended["status"], ended["cost"]["charged"])
    if found != (case.status, case.charged):
        raise RunFailed(f"with {case.fault} it ended as {found}, not as {(case.status, case.charged)}")


async def _until(http: httpx.AsyncClient, url: str, field: str, values: set[str]) -> dict[str, Any]:
    """Read the generation until the field has one of the values."""
    deadline = time.monotonic() + CASE_TIMEOUT_SECONDS
    while time.monotonic() < deadline:
        found: dict[str, Any] = (await http.get(url)).raise_for_status().json()
        if found[field] in values:
            return found
        await asyncio.sleep(LOOK_EVERY_SECONDS)
    raise RunFailed(f"{url} had no {field} of {sorted(values)} in {CASE_TIMEOUT_SECONDS:.0f} s")
