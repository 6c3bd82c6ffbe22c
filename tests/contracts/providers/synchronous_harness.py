"""One synchronous provider's adapter at its simulator."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from PIL import Image

from adapters.providers.http.inline_images import InlineImageClient
from adapters.transport.http import HttpClient, Request
from domain.errors import ContentRejected
from domain.generation import GenerationRequest
from domain.input_files import ImageFacts
from domain.moderation import ModeratedAt
from domain.ports import SynchronousProvider
from domain.provider import AttemptRef, JobStatus, LocalInputFile, Submission, SyncResult
from tests.contracts.providers.simulated import SimulatedProvider
from tests.contracts.providers.synchronous_case import SynchronousCase
from tests.simulator.process import KEY
from tests.support.local_inspector import LocalInspector

ATTEMPT = AttemptRef("gen_contract")
MAX_RESPONSE_BYTES = 40_000_000


@dataclass
class SynchronousHarness:
    """folder: where images are written."""

    case: SynchronousCase
    simulator: SimulatedProvider
    http: HttpClient
    threads: ThreadPoolExecutor
    folder: Path

    def provider(
        self, *, url: str | None = None, key: str = KEY, total_seconds: float = 20
    ) -> SynchronousProvider:
        client = InlineImageClient(
            self.http, self.threads, total_seconds=total_seconds, max_bytes=MAX_RESPONSE_BYTES
        )
        return self.case.make(client, url or self.simulator.url, key)

    def submission(
        self,
        prompt: str,
        n: int = 1,
        images: tuple[LocalInputFile, ...] = (),
        mask: LocalInputFile | None = None,
    ) -> Submission:
        request = GenerationRequest(
            model="model",
            provider=self.case.name,
            endpoint=self.case.editor if images else self.case.endpoint,
            prompt=prompt,
            parameters={**({} if images else self.case.parameters), "n": n},
            n=n,
            price_credits=n,
        )
        return Submission(ATTEMPT, request, webhook_url="", images=images, mask=mask)

    async def response_to(self, prompt: str, n: int = 1, *, total_seconds: float = 20) -> SyncResult:
        provider = self.provider(total_seconds=total_seconds)
        return await provider.generate(self.submission(prompt, n), self.folder)

    async def moderated(self, prompt: str) -> ModeratedAt | None:
        """Return what was refused, whether the provider says so in an error or in a response."""
        try:
            answer = await self.response_to(prompt)
        except ContentRejected as error:
            return error.at
        assert (answer.result.status, answer.result.code) == (JobStatus.FAILED, "content_rejected")
        assert (answer.files, bool(answer.result.provider_message)) == ((), True)
        return answer.result.moderated_at

    async def inspected(self, answer: SyncResult) -> list[ImageFacts]:
        """Return the facts of the images, as the worker does."""
        inspector = LocalInspector(max_pixels=4_000_000)
        return [await inspector.facts_of(path) for path in answer.files]

    async def accepted(self, prompt: str) -> list[dict[str, Any]]:
        """Return how many requests with this prompt the provider has accepted, even without a response."""
        log = Request("GET", f"{self.simulator.url}/_sim/log", params={"limit": "10000"})
        response = await self.http.send(log)
        entries: list[dict[str, Any]] = response.json()["entries"]
        return [entry for entry in entries if (entry["kind"], entry["prompt"]) == ("submit_accepted", prompt)]

    def picture(self, name: str, color: str) -> LocalInputFile:
        path = self.folder / name
        Image.new("RGBA", (64, 64), color).save(path, "png")
        return LocalInputFile(path, "image/png", 64, 64)


def digest(image: LocalInputFile) -> str:
    return sha256(image.path.read_bytes()).hexdigest()
