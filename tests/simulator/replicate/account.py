"""One Replicate account, over plain HTTP."""

from typing import Any

import httpx

from tests.simulator.process import KEY, ControlClient
from tests.support.eventually import eventually

SCHNELL = "black-forest-labs/flux-schnell"
PRO = "black-forest-labs/flux-1.1-pro"
KONTEXT = "black-forest-labs/flux-kontext-pro"
_AROUND = ("webhook", "webhook_events_filter")
ENDED = ("succeeded", "failed", "canceled", "aborted")


class ReplicateAccount(ControlClient):
    """Requests to Replicate."""

    def __init__(self, url: str) -> None:
        super().__init__(url, {"Authorization": f"Bearer {KEY}"})

    async def create(
        self, prompt: str, model: str = SCHNELL, headers: dict[str, str] | None = None, **given: Any
    ) -> httpx.Response:
        """Create a prediction. given: fields of the input, or of the request."""
        around: dict[str, Any] = {key: given.pop(key) for key in _AROUND if key in given}
        body: dict[str, Any] = {"input": {"prompt": prompt, **given}, **around}
        return await self.http.post(f"/v1/models/{model}/predictions", json=body, headers=headers)

    async def created(self, prompt: str, model: str = SCHNELL, **given: Any) -> dict[str, Any]:
        response = await self.create(prompt, model, **given)
        assert response.status_code == 201, response.text
        return dict(response.json())

    async def now(self, prediction: dict[str, Any]) -> dict[str, Any]:
        return dict((await self.http.get(prediction["urls"]["get"])).json())

    async def ended(self, prediction: dict[str, Any]) -> dict[str, Any]:
        """Wait until the prediction has ended; return it."""

        async def check() -> dict[str, Any] | None:
            now = await self.now(prediction)
            return now if now.get("status") in ENDED else None

        return await eventually(check)
