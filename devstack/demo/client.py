"""A client of the API over plain HTTP, without any code of the service."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

import httpx

from devstack.demo.cases import Case
from devstack.demo.pictures import CONTENT_TYPE, PictureName, picture
from devstack.errors import NotReady
from devstack.process.stop_flag import StopFlag

REQUEST_TIMEOUT_SECONDS = 10.0
ASK_EVERY_SECONDS = 0.1
TERMINAL = frozenset({"completed", "failed", "canceled"})
ENTRIES_MAX = 100


@dataclass
class Tracked:
    """A posted generation, as last seen. `stages`: when each was first seen, in seconds from the POST."""

    case: Case
    job: dict[str, Any]
    posted_at: float
    stages: list[tuple[str, float]] = field(default_factory=list)

    @property
    def is_over(self) -> bool:
        return self.job["status"] in TERMINAL

    @property
    def seconds(self) -> float:
        return self.stages[-1][1] if self.is_over else time.monotonic() - self.posted_at

    def see(self, job: dict[str, Any]) -> bool:
        """Store the generation's new state; return whether its stage has changed."""
        self.job = job
        if self.stages and self.stages[-1][0] == job["stage"]:
            return False
        self.stages.append((job["stage"], time.monotonic() - self.posted_at))
        return True


class Client:
    """The API, with one tenant's key."""

    def __init__(self, api_url: str, headers: Mapping[str, str]) -> None:
        self._http = httpx.Client(
            base_url=api_url,
            headers=dict(headers),
            timeout=REQUEST_TIMEOUT_SECONDS,
            follow_redirects=True,
            trust_env=False,
        )

    def close(self) -> None:
        self._http.close()

    def post(self, case: Case) -> Tracked:
        """Upload the case's pictures, then post the generation."""
        file_ids = [self._upload(name) for name in case.pictures]
        posted_at = time.monotonic()
        key = {"Idempotency-Key": str(uuid4())}
        response = self._http.post("/v1/generations", json=case.request(file_ids), headers=key)
        if response.status_code != httpx.codes.ACCEPTED:
            raise NotReady(f"POST /v1/generations returned {response.status_code}: {response.text}")
        tracked = Tracked(case, response.json(), posted_at)
        tracked.see(tracked.job)
        return tracked

    def _upload(self, name: PictureName) -> str:
        files = {"file": (f"{name}.png", picture(name), CONTENT_TYPE)}
        response = self._http.post("/v1/files", files=files)
        if response.status_code != httpx.codes.CREATED:
            raise NotReady(f"POST /v1/files returned {response.status_code}: {response.text}")
        return str(response.json()["id"])

    def watch(
        self,
        generations: list[Tracked],
        show: Callable[[Tracked], None],
        *,
        timeout_seconds: float,
        stop: StopFlag,
    ) -> None:
        """Poll each generation until all have ended or the time is over; call `show` at every new stage."""
        deadline = time.monotonic() + timeout_seconds
        while time.monotonic() < deadline and not all(each.is_over for each in generations):
            for each in generations:
                if not each.is_over and each.see(self.get(f"/v1/generations/{each.job['id']}")):
                    show(each)
            stop.wait(ASK_EVERY_SECONDS)

    def credits(self) -> dict[str, Any]:
        return self.get("/v1/credits")

    def entries(self) -> list[dict[str, Any]]:
        """Return the newest entries of the account, oldest first."""
        data: list[dict[str, Any]] = self.get(f"/v1/credits/entries?limit={ENTRIES_MAX}")["data"]
        return data[::-1]

    def get(self, path: str) -> dict[str, Any]:
        response = self._http.get(path)
        response.raise_for_status()
        body: dict[str, Any] = response.json()
        return body

    def download(self, url: str) -> httpx.Response:
        """Download an image by its stable URL. The key is not sent to the host that it redirects to."""
        return self._http.get(url)
