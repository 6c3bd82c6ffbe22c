"""The services around us: providers, object store, Temporal, and the way to bytes."""

from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, Protocol

from domain.files import ImageFacts
from domain.generation import GenerationInput, GenerationRequest
from domain.provider import (
    Answer,
    AttemptRef,
    ProviderEvent,
    ProviderJob,
    ProviderResult,
    ResultSignal,
    Submission,
)


class Provider(Protocol):
    """One image-generation service."""

    name: str
    result_hosts: tuple[str, ...]

    async def submit(self, submission: Submission) -> ProviderJob:
        """Start a job.

        Raises ProviderUnavailable or ProviderThrottled only if the provider provably took nothing, a
        PermanentError if it refused, and SubmitAmbiguous for everything in between.
        """
        ...

    async def fetch(self, request: GenerationRequest, job: ProviderJob) -> ProviderResult:
        """Where the job stands. Raises a TransientError if that cannot be told now."""
        ...

    async def cancel(self, request: GenerationRequest, job: ProviderJob) -> bool:
        """Ask to stop; False if it is too late or the provider cannot. Raises a TransientError."""
        ...


class SynchronousProvider(Protocol):
    """A service that answers with the images themselves, after seconds or minutes: there is no job."""

    name: str

    async def generate(self, submission: Submission, folder: Path) -> Answer:
        """Make the images and write each to a file in `folder`, which lives as long as the call's caller.

        Raises like `Provider.submit`: once a byte has left and no whole answer came back, SubmitAmbiguous.
        """
        ...


class InputCheck(Protocol):
    """Our own content rules, asked before any credits are held."""

    async def check(self, prompt: str) -> str | None:
        """Why the prompt is refused, for our records; None if it may pass. Raises ModerationUnavailable."""
        ...


class WebhookReader(Protocol):
    """One provider's way of signing and wording its callbacks."""

    async def read(self, headers: Mapping[str, str], body: bytes, attempt: AttemptRef) -> ProviderEvent:
        """The event a callback carries.

        headers: names in lower case. body: the raw bytes. attempt: whose callback address was called, as
        some sign each attempt with a secret of its own. Raises SignatureInvalid for anything forged, stale
        or malformed, VerificationUnavailable if that cannot be told, and nothing else.
        """
        ...


class Downloader(Protocol):
    """Fetches bytes from the outside, under caps."""

    def fetch(self, url: str, hosts: Sequence[str]) -> AbstractAsyncContextManager[Path]:
        """A temporary file with the whole body.

        Raises ResultExpired if the address is dead, ResultUnusable if the body breaks a cap or the host is
        not allowed, ResultUnavailable if trying again may help.
        """
        ...


class ImageInspector(Protocol):
    """Looks at bytes, and believes nothing else."""

    async def inspect(self, path: Path) -> ImageFacts:
        """Decode the whole image. Raises ResultUnusable."""
        ...


class ObjectStore(Protocol):
    """Our own S3-compatible storage. Every call raises StorageUnavailable."""

    async def put(self, key: str, path: Path, facts: ImageFacts) -> None:
        """Whole or not at all, and there afterwards with the right size."""
        ...

    def fetch(self, key: str) -> AbstractAsyncContextManager[Path]:
        """The whole object as a temporary file. Raises StorageUnavailable also where there is none."""
        ...

    async def delete_under(self, prefix: str) -> int:
        """Delete every object under the prefix, at most 1000; how many there were."""
        ...

    async def signed_url(self, key: str, *, method: str, lifetime: timedelta) -> str: ...


@dataclass(frozen=True)
class RunState:
    """What Temporal says of a generation's workflow."""

    exists: bool
    running: bool


class Runs(Protocol):
    """All that Darkroom asks of Temporal from outside a workflow. Raises TemporalUnavailable."""

    async def start(self, generation: GenerationInput, title: str) -> None:
        """Start once: an id that was ever used starts nothing."""
        ...

    async def report(self, generation_id: str, signal: ResultSignal) -> bool:
        """False if no workflow is open to hear it."""
        ...

    async def grant_place(self, attempt: AttemptRef) -> bool:
        """Tell a waiting workflow that its provider has room; False if no workflow is open to hear it."""
        ...

    async def request_cancel(self, generation_id: str) -> bool:
        """False if no workflow is open to hear it."""
        ...

    async def state(self, generation_id: str) -> RunState: ...

    async def live(self, generation_id: str, *, within: timedelta) -> Mapping[str, Any] | None:
        """The workflow's own view of itself, or None if it cannot be had in time."""
        ...
