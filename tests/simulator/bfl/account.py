"""One account at Black Forest Labs, over plain HTTP, as documented."""

from typing import Any

import httpx

from tests.simulator.process import KEY, ControlClient
from tests.support.eventually import eventually

PRO = "flux-2-pro"
KONTEXT = "flux-kontext-pro"
FILL = "flux-pro-1.0-fill"
OPEN = ("Pending", "Reasoning", "Generating", "Pondering")


class BflAccount(ControlClient):
    """Requests to Black Forest Labs."""

    def __init__(self, url: str) -> None:
        super().__init__(url, {"x-key": KEY})

    async def submit(self, prompt: str, model: str = PRO, **given: Any) -> httpx.Response:
        return await self.http.post(f"/v1/{model}", json={"prompt": prompt, **given})

    async def submitted(self, prompt: str, model: str = PRO, **given: Any) -> dict[str, Any]:
        response = await self.submit(prompt, model, **given)
        assert response.status_code == 200, response.text
        return dict(response.json())

    async def poll(self, task: dict[str, Any]) -> httpx.Response:
        if "polling_url" in task:
            return await self.http.get(task["polling_url"])
        return await self.http.get("/v1/get_result", params={"id": task["id"]})

    async def ended(self, task: dict[str, Any]) -> dict[str, Any]:
        """Wait until the task has ended; return its result."""

        async def check() -> dict[str, Any] | None:
            body = dict((await self.poll(task)).json())
            return None if body["status"] in OPEN else body

        return await eventually(check)

    async def sample(self, task: dict[str, Any]) -> httpx.Response:
        return await self.http.get((await self.ended(task))["result"]["sample"])
