"""A provider that follows a test's script and records its calls."""

import asyncio
import hashlib
import tempfile
from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from domain.errors import ResultExpired, SubmitAmbiguous
from domain.generation import GenerationRequest
from domain.input_files import ImageFacts, PreparedImage
from domain.provider import JobStatus, ProviderJob, ProviderResult, ResultFile, Submission, SyncResult

RUNNING = ProviderResult(JobStatus.RUNNING)
Submitted = ProviderJob | Exception | asyncio.Event


def opened() -> asyncio.Event:
    event = asyncio.Event()
    event.set()
    return event


def success(*urls: str) -> ProviderResult:
    return ProviderResult(JobStatus.SUCCEEDED, files=tuple(ResultFile(url) for url in urls))


@dataclass
class Script:
    """What happens to one generation at the provider. The last response of a list is repeated.

    Attributes:
        submits: An event is a submit that reaches the provider and is never answered.
        submit_release: A submit waits here before it answers.
        cancels: Jobs that were canceled.
        listed: What a look-up finds, by callback address.
    """

    submits: list[Submitted] = field(default_factory=lambda: [ProviderJob("job-1", {})])
    polls: list[ProviderResult | Exception] = field(default_factory=lambda: [RUNNING])
    submit_release: asyncio.Event = field(default_factory=opened)
    begun: asyncio.Event = field(default_factory=asyncio.Event)
    storing: asyncio.Event = field(default_factory=asyncio.Event)
    submitted: list[Submission] = field(default_factory=list)
    polled: int = 0
    cancels: list[str] = field(default_factory=list)
    listed: dict[str, ProviderJob] = field(default_factory=dict)


class ScriptedProvider:
    """The Provider port. A script is found by the prompt, which is a generation's own."""

    result_hosts: tuple[str, ...] = ("results.test",)

    def __init__(self, name: str = "fal") -> None:
        self.name = name
        self.scripts: dict[str, Script] = {}
        self.looked_up: list[str] = []

    async def submit(self, submission: Submission) -> ProviderJob:
        script = self.scripts[submission.request.prompt]
        script.begun.set()
        await script.submit_release.wait()
        answer = script.submits.pop(0) if len(script.submits) > 1 else script.submits[0]
        if isinstance(answer, Exception):
            raise answer
        script.submitted.append(submission)
        if isinstance(answer, asyncio.Event):
            await answer.wait()
            raise SubmitAmbiguous("nobody was waiting any more")
        return answer

    async def poll_job(self, request: GenerationRequest, job: ProviderJob) -> ProviderResult:
        script = self.scripts[request.prompt]
        script.polled += 1
        answer = script.polls.pop(0) if len(script.polls) > 1 else script.polls[0]
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def cancel_job(self, request: GenerationRequest, job: ProviderJob) -> bool:
        self.scripts[request.prompt].cancels.append(job.job_id)
        return True

    async def find_job(self, webhook_urls: Collection[str], begun_at: datetime) -> ProviderJob | None:
        [webhook_url] = webhook_urls
        self.looked_up.append(webhook_url)
        found = (script.listed.get(webhook_url) for script in self.scripts.values())
        return next((job for job in found if job is not None), None)


@dataclass
class Call:
    """What happens to one generation at a synchronous provider.

    images: the bytes of each. partial_images: those that come before. error: raised instead. release: the
    answer waits for it.
    """

    result: ProviderResult = field(default_factory=lambda: ProviderResult(JobStatus.SUCCEEDED))
    images: tuple[bytes, ...] = (b"an image",)
    partial_images: tuple[bytes, ...] = ()
    error: Exception | None = None
    release: asyncio.Event = field(default_factory=opened)
    begun: asyncio.Event = field(default_factory=asyncio.Event)
    calls: int = 0


class ScriptedSynchronousProvider:
    """The SynchronousProvider port. A call is found by the prompt, which is a generation's own."""

    name = "openai"

    def __init__(self) -> None:
        self.calls: dict[str, Call] = {}

    async def generate(self, submission: Submission, folder: Path) -> SyncResult:
        call = self.calls[submission.request.prompt]
        call.calls += 1
        for number, content in enumerate(call.partial_images):
            (folder / f"partial-{number}").write_bytes(content)
            assert submission.on_partial_image is not None
            submission.on_partial_image(number, folder / f"partial-{number}")
        call.begun.set()
        await call.release.wait()
        if call.error is not None:
            raise call.error
        paths = tuple(folder / f"{number}" for number in range(len(call.images)))
        for path, content in zip(paths, call.images, strict=True):
            path.write_bytes(content)
        return SyncResult("req-1", call.result, paths)


class ScriptedDownloader:
    """The Downloader port: an address is its own content. `dead` ones have expired."""

    def __init__(self) -> None:
        self.releases: dict[str, tuple[asyncio.Event, asyncio.Event]] = {}
        self.failures: dict[str, Exception] = {}
        self.dead: set[str] = set()

    @asynccontextmanager
    async def download(self, url: str, hosts: Sequence[str], *, tenant_id: str = "") -> AsyncIterator[Path]:
        if url in self.releases:
            reached, release = self.releases[url]
            reached.set()
            await release.wait()
        if url in self.failures:
            raise self.failures[url]
        if url in self.dead:
            raise ResultExpired
        with tempfile.NamedTemporaryFile() as file:
            file.write(url.encode())
            file.flush()
            yield Path(file.name)


class TrustingInspector:
    """The ImageInspector port for content that is not an image."""

    @asynccontextmanager
    async def prepare_image(
        self, path: Path, tenant_id: str, *, is_upright_wanted: bool = False
    ) -> AsyncIterator[PreparedImage]:
        content = path.read_bytes()  # noqa: ASYNC240 - a small file, in a test
        digest = hashlib.sha256(content).hexdigest()
        yield PreparedImage(path, ImageFacts(512, 512, "image/jpeg", len(content), digest), digest)


@dataclass
class ForbiddenWords:
    """The InputCheck port: `words` are refused, and `error` is raised where one is set."""

    words: set[str] = field(default_factory=set)
    error: Exception | None = None

    async def find_violation(self, prompt: str) -> str | None:
        if self.error is not None:
            raise self.error
        return next((word for word in self.words if word in prompt), None)
