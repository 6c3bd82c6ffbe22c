"""One provider's adapter at its simulator: submits, polls, downloads and webhooks."""

from dataclasses import dataclass

from PIL import Image

from adapters.storage.address_guard import guarded_pool
from adapters.storage.download import GuardedDownloader
from adapters.transport.http import HttpClient
from domain.input_files import ImageFacts
from domain.ports import Provider, WebhookReader
from domain.provider import JobStatus, ProviderEvent, ProviderJob, ProviderResult
from tests.contracts.providers.job_case import ATTEMPT, JobCase
from tests.contracts.providers.simulated import SimulatedProvider
from tests.simulator.receiver import Received
from tests.support.eventually import eventually
from tests.support.local_inspector import LocalInspector

Color = tuple[int, ...]


@dataclass
class JobHarness:
    """reader: of its webhooks, with the secrets of this simulator."""

    case: JobCase
    http: HttpClient
    simulator: SimulatedProvider
    provider: Provider
    reader: WebhookReader

    async def submit(self, prompt: str, n: int = 1, webhook_url: str = "") -> ProviderJob:
        return await self.provider.submit(self.case.submission(prompt, n, webhook_url))

    async def poll(self, job: ProviderJob, n: int = 1) -> ProviderResult:
        return await self.provider.poll_job(self.case.submission("", n).request, job)

    async def ended(self, job: ProviderJob, n: int = 1) -> ProviderResult:
        async def has_ended() -> ProviderResult | None:
            result = await self.poll(job, n)
            return None if result.status is JobStatus.RUNNING else result

        return await eventually(has_ended)

    async def result_of(self, prompt: str, n: int = 1) -> ProviderResult:
        return await self.ended(await self.submit(prompt, n), n)

    async def cancel(self, job: ProviderJob) -> bool:
        return await self.provider.cancel_job(self.case.submission("").request, job)

    async def accepted(self, prompt: str) -> int:
        return await self.simulator.accepted(self.http, prompt)

    async def downloaded(self, result: ProviderResult) -> list[ImageFacts]:
        """Download and inspect a result's images as the worker does."""
        hosts = self.provider.result_hosts
        async with guarded_pool(hosts) as pool:
            downloader = GuardedDownloader(pool, max_bytes=20_000_000, total_seconds=5)
            inspector = LocalInspector(max_pixels=4_000_000)
            facts = []
            for file in result.files:
                async with downloader.download(file.url, hosts) as path:
                    facts.append(await inspector.facts_of(path))
            return facts

    async def colors(self, result: ProviderResult, places: list[tuple[float, float]]) -> list[Color]:
        """Return the colors of the first image at these shares of its width and height."""
        hosts = self.provider.result_hosts
        async with guarded_pool(hosts) as pool:
            downloader = GuardedDownloader(pool, max_bytes=20_000_000, total_seconds=5)
            async with downloader.download(result.files[0].url, hosts) as path:
                with Image.open(path) as image:
                    shown = image.convert("RGB")
        width, height = shown.size
        pixels = [shown.getpixel((int(x * width), int(y * height))) for x, y in places]
        return [pixel for pixel in pixels if isinstance(pixel, tuple)]

    async def read_event(self, received: Received) -> ProviderEvent:
        return await self.reader.read_event(received.headers, received.body, ATTEMPT)
