"""A provider that does what a test's script says, and remembers what was asked of it."""

import asyncio
import hashlib
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from domain.errors import ResultExpired
from domain.generation import GenerationRequest
from domain.ports import ImageFacts
from domain.provider import ProviderJob, ProviderResult, ResultFile, Submission, Verdict

RUNNING = ProviderResult(Verdict.RUNNING)


def opened() -> asyncio.Event:
    event = asyncio.Event()
    event.set()
    return event


def success(*urls: str) -> ProviderResult:
    return ProviderResult(Verdict.SUCCEEDED, files=tuple(ResultFile(url) for url in urls))


@dataclass
class Script:
    """What becomes of one generation. Of a list of answers, the last one goes on for ever.

    Attributes:
        submit_gate: A submit waits here before it answers.
        cancels: Jobs that were called off.
    """

    submits: list[ProviderJob | Exception] = field(default_factory=lambda: [ProviderJob("job-1", {})])
    polls: list[ProviderResult | Exception] = field(default_factory=lambda: [RUNNING])
    submit_gate: asyncio.Event = field(default_factory=opened)
    store_gate: asyncio.Event = field(default_factory=opened)
    begun: asyncio.Event = field(default_factory=asyncio.Event)
    storing: asyncio.Event = field(default_factory=asyncio.Event)
    submitted: list[Submission] = field(default_factory=list)
    polled: int = 0
    cancels: list[str] = field(default_factory=list)


class ScriptedProvider:
    """The Provider port. A script is found by the prompt, which is a generation's own."""

    name = "fal"
    result_hosts: tuple[str, ...] = ("results.test",)

    def __init__(self) -> None:
        self.scripts: dict[str, Script] = {}

    async def submit(self, submission: Submission) -> ProviderJob:
        script = self.scripts[submission.request.prompt]
        script.begun.set()
        await script.submit_gate.wait()
        answer = script.submits.pop(0) if len(script.submits) > 1 else script.submits[0]
        if isinstance(answer, Exception):
            raise answer
        script.submitted.append(submission)
        return answer

    async def fetch(self, request: GenerationRequest, job: ProviderJob) -> ProviderResult:
        script = self.scripts[request.prompt]
        script.polled += 1
        answer = script.polls.pop(0) if len(script.polls) > 1 else script.polls[0]
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def cancel(self, request: GenerationRequest, job: ProviderJob) -> bool:
        self.scripts[request.prompt].cancels.append(job.job_id)
        return True


class ScriptedDownloader:
    """The Downloader port: an address is its own content. `dead` ones have expired."""

    def __init__(self) -> None:
        self.gates: dict[str, tuple[asyncio.Event, asyncio.Event]] = {}
        self.failures: dict[str, Exception] = {}
        self.dead: set[str] = set()

    @asynccontextmanager
    async def fetch(self, url: str, hosts: Sequence[str]) -> AsyncIterator[Path]:
        if url in self.gates:
            reached, gate = self.gates[url]
            reached.set()
            await gate.wait()
        if url in self.failures:
            raise self.failures[url]
        if url in self.dead:
            raise ResultExpired
        with tempfile.NamedTemporaryFile() as file:
            file.write(url.encode())
            file.flush()
            yield Path(file.name)


class TrustingInspector:
    """The ImageInspector port for content that is no image."""

    async def inspect(self, path: Path) -> ImageFacts:
        content = path.read_bytes()  # noqa: ASYNC240 - a small file, in a test
        return ImageFacts(512, 512, "image/jpeg", len(content), hashlib.sha256(content).hexdigest())
