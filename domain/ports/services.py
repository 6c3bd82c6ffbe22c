"""Services outside the process: providers, moderation, downloads, object store, Temporal."""

from collections.abc import Collection, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Protocol

from domain.generation import GenerationInput, GenerationRequest
from domain.input_files import ImageFacts, PreparedImage
from domain.provider import (
    AttemptRef,
    ProviderEvent,
    ProviderJob,
    ProviderResult,
    ResultSignal,
    Submission,
    SyncResult,
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

    async def poll_job(self, request: GenerationRequest, job: ProviderJob) -> ProviderResult:
        """Ask for the status of a job. Raises a TransientError if the provider does not say now."""
        ...

    async def cancel_job(self, request: GenerationRequest, job: ProviderJob) -> bool:
        """Ask to stop; False if it is too late or the provider cannot. Raises a TransientError."""
        ...

    async def find_job(self, webhook_urls: Collection[str], begun_at: datetime) -> ProviderJob | None:
        """Look for the job of a submit whose response was lost, by its callback address and nothing else.

        webhook_urls: Every address that it may have been given. begun_at: When it was submitted. None proves
        nothing: lists lag, and are not complete, and some providers have none. Raises a TransientError.
        """
        ...


class SynchronousProvider(Protocol):
    """A service whose response has the images, after seconds or minutes, without a job."""

    name: str

    async def generate(self, submission: Submission, folder: Path) -> SyncResult:
        """Request the images and write each to a file in `folder`, which the caller removes.

        Raises like `Provider.submit`: once a byte has left and no whole response came, SubmitAmbiguous.
        Before that, StorageUnavailable if there is no file for the response.
        """
        ...


class InputCheck(Protocol):
    """Our own content rules, applied before any credits are held."""

    async def find_violation(self, prompt: str) -> str | None:
        """Return why the prompt is refused, for the log; None if it may pass.

        Raises ModerationUnavailable.
        """
        ...


class WebhookReader(Protocol):
    """Verifies and parses one provider's webhooks."""

    async def read_event(self, headers: Mapping[str, str], body: bytes, attempt: AttemptRef) -> ProviderEvent:
        """Return the event that a callback carries.

        headers: names in lower case. body: the raw bytes. attempt: whose callback address was called, as
        some providers sign each attempt with a secret of its own. Raises SignatureInvalid for anything
        forged, stale or malformed, VerificationUnavailable if that cannot be decided, and nothing else.
        """
        ...


class Downloader(Protocol):
    """Downloads from foreign hosts, with limits on size and time."""

    def download(
        self, url: str, hosts: Sequence[str], *, tenant_id: str = ""
    ) -> AbstractAsyncContextManager[Path]:
        """Open a temporary file with the whole body.

        tenant_id: Who chose the address; of each tenant, a few names are looked up at once.
        Raises ResultExpired if the address no longer works, ResultUnusable if the body breaks a cap or the
        host is not allowed, ResultUnavailable if a retry may help.
        """
        ...


class ImageInspector(Protocol):
    """Inspects an image by its bytes alone."""

    def prepare_image(
        self, path: Path, tenant_id: str, *, is_upright_wanted: bool = False
    ) -> AbstractAsyncContextManager[PreparedImage]:
        """Decode the whole image; open it without metadata, as it may be stored. The file is not changed.

        tenant_id: Whose turn it takes; empty where no tenant is known. is_upright_wanted: Whether a picture
        in which programs may see something else than its maker did is rewritten. Raises ResultUnusable,
        TooManyAtOnce, ImageDecoderUnavailable.
        """
        ...


class ObjectStore(Protocol):
    """Our own S3-compatible storage. Every call raises StorageUnavailable."""

    async def put_object(self, key: str, path: Path, facts: ImageFacts) -> None:
        """Store a file, whole or not at all, and verify its size."""
        ...

    def open_object(self, key: str) -> AbstractAsyncContextManager[Path]:
        """Open the whole object as a temporary file. Raises StorageUnavailable also where there is none."""
        ...

    async def delete_objects(self, keys: Sequence[str]) -> int:
        """Delete the objects that there are; return how many."""
        ...

    async def signed_url(self, key: str, *, method: str, lifetime: timedelta) -> str: ...


@dataclass(frozen=True)
class WorkflowState:
    """What Temporal reports of a generation's workflow."""

    exists: bool
    running: bool


class WorkflowClient(Protocol):
    """Starts, signals and queries generation workflows from outside. Raises TemporalUnavailable.

    Signals return False if no workflow is open to receive them.
    """

    async def start_workflow(self, generation: GenerationInput, title: str) -> None:
        """Start once: an id that was ever used starts nothing."""
        ...

    async def signal_result(self, generation_id: str, signal: ResultSignal) -> bool: ...

    async def signal_slot_granted(self, attempt: AttemptRef) -> bool: ...

    async def signal_provider_closed(self, attempt: AttemptRef) -> bool: ...

    async def signal_cancel(self, generation_id: str) -> bool: ...

    async def describe_workflow(self, generation_id: str) -> WorkflowState: ...

    async def query_status(self, generation_id: str, *, within: timedelta) -> Mapping[str, Any] | None:
        """Return the workflow's own view of itself, or None if it does not respond in time."""
        ...
