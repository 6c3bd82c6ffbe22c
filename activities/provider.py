"""Submitting a job to its provider, polling it, and canceling it."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from temporalio import activity

from activities.assets import ImageWriter, delivered_indexes
from activities.metrics import count_poll, count_submit
from activities.provider_slots import SlotGranter
from activities.retry import retry_transient
from domain.errors import (
    PermanentError,
    ProviderThrottled,
    ResultUnusable,
    ServiceError,
    StorageUnavailable,
    SubmitAmbiguous,
    TransientError,
)
from domain.generation import Generation, GenerationRequest, Image
from domain.ports import Assets, Attempts, InputFiles, ObjectStore, Provider, SynchronousProvider
from domain.provider import (
    AttemptRef,
    JobStatus,
    LocalInputFile,
    PollResult,
    ProviderJob,
    ProviderResult,
    Submission,
    SubmitResult,
    SubmitState,
    SyncResult,
)

# For a 429 that does not say how long to wait.
_DEFAULT_PAUSE_SECONDS = 5.0


class InputFileLoader:
    """Copies input files to local files, for as long as a submit lasts."""

    def __init__(self, files: InputFiles, store: ObjectStore) -> None:
        self._files = files
        self._store = store

    @asynccontextmanager
    async def load(
        self, request: GenerationRequest
    ) -> AsyncIterator[tuple[tuple[LocalInputFile, ...], LocalInputFile | None]]:
        """Open the images in order, and the mask. Raises StorageUnavailable, FileNotFound."""
        async with AsyncExitStack() as stack:
            images = await self._open(stack, request.inputs)
            masks = await self._open(stack, [request.mask] if request.mask else [])
            yield images, masks[0] if masks else None

    async def _open(self, stack: AsyncExitStack, file_ids: Sequence[str]) -> tuple[LocalInputFile, ...]:
        images = []
        for file in await self._files.get_files(file_ids) if file_ids else ():
            path = await stack.enter_async_context(self._store.open_object(file.key))
            facts = file.facts
            images.append(LocalInputFile(path, facts.content_type, facts.width, facts.height))
        return tuple(images)


class SyncResultRecorder:
    """Stores the images of a synchronous response. From there on the provider has been paid."""

    def __init__(self, attempts: Attempts, assets: Assets, writer: ImageWriter) -> None:
        self._attempts = attempts
        self._assets = assets
        self._writer = writer

    async def record(
        self, attempt: AttemptRef, request: GenerationRequest, response: SyncResult
    ) -> SubmitResult:
        """Store the images, then record the result of the attempt."""
        generation = await retry_transient(partial(self._assets.expect_objects, attempt.generation_id))
        result, images = response.result, list[Image]()
        if generation is not None and result.status is JobStatus.SUCCEEDED:
            result, images = await self._store_images(generation, request, response)
        in_time = await retry_transient(
            partial(self._attempts.record_sync_result, attempt, response.job_id, result, images)
        )
        if generation is not None and images and not in_time:
            await self._writer.discard(generation)
        return SubmitResult(SubmitState.ACCEPTED, job_id=response.job_id, verdict=PollResult.of(result))

    async def _store_images(
        self, generation: Generation, request: GenerationRequest, response: SyncResult
    ) -> tuple[ProviderResult, list[Image]]:
        """Return the result as it is after storing, and the stored images."""
        files = response.files[: request.n]
        indexes = delivered_indexes(len(files), response.result.undelivered)
        paths = dict(zip(indexes, files, strict=True))
        try:
            images, unusable = await self._writer.store_all(generation, request.provider, paths)
        except StorageUnavailable as error:
            return _failed_after_payment(response.result, error), []
        if not images:
            unusable_response = ResultUnusable("no image of the response can be used")
            return _failed_after_payment(response.result, unusable_response), []
        return replace(response.result, undelivered=(*response.result.undelivered, *unusable)), images


class ProviderActivities:
    """Talks to the provider that the attempt's row names.

    webhook_url: builds the address at which a provider may report on an attempt; empty if it is not to.
    """

    def __init__(
        self,
        providers: Mapping[str, Provider],
        synchronous: Mapping[str, SynchronousProvider],
        attempts: Attempts,
        sync_results: SyncResultRecorder,
        inputs: InputFileLoader,
        slots: SlotGranter,
        webhook_url: Callable[[str, AttemptRef], str],
    ) -> None:
        self._providers = providers
        self._synchronous = synchronous
        self._attempts = attempts
        self._sync_results = sync_results
        self._inputs = inputs
        self._slots = slots
        self._webhook_url = webhook_url

    @activity.defn
    async def submit_job(self, attempt: AttemptRef) -> SubmitResult:
        """Submit at most once. Raises a TransientError only if the provider provably took nothing."""
        permit = await self._attempts.begin_submit(attempt)
        if permit.stored is not None:
            return permit.stored
        assert permit.request is not None
        provider = permit.request.provider
        result = await _run_to_completion(self._submit(attempt, permit.request))
        count_submit(provider, result.state.value)
        if activity.info().attempt > 1:
            # Attempts that came while the provider was paused still wait for the slots that are free.
            await self._slots.grant_free_slots(provider)
        return result

    @activity.defn
    async def fetch_result(self, attempt: AttemptRef) -> PollResult:
        """Poll once. "Not now" is a result too: the workflow's timer is the retry."""
        record = await self._attempts.get_attempt(attempt)
        if record.result is not None:
            return record.result
        provider = self._providers.get(record.request.provider)
        if record.job is None or provider is None:  # nothing to poll; a webhook may still come
            return PollResult(JobStatus.RUNNING)
        try:
            result = await provider.poll_job(record.request, record.job)
        except TransientError as error:
            count_poll(provider.name, error.code)
            return PollResult(JobStatus.RUNNING, retry_after_seconds=error.retry_after_seconds)
        if result.unknown_status is not None:
            activity.logger.warning("%s has a new status: %.60r", provider.name, result.unknown_status)
        count_poll(provider.name, "unknown_status" if result.unknown_status else result.status.value)
        if result.status is not JobStatus.RUNNING:
            await self._attempts.record_result(attempt, result)
        return PollResult.of(result)

    @activity.defn
    async def cancel_job(self, attempt: AttemptRef) -> bool:
        """Ask the provider to stop; False if it cannot, or there is nothing to stop."""
        record = await self._attempts.get_attempt(attempt)
        provider = self._providers.get(record.request.provider)
        if record.job is None or provider is None:
            return False
        return await provider.cancel_job(record.request, record.job)

    async def _submit(self, attempt: AttemptRef, request: GenerationRequest) -> SubmitResult:
        """Submit once, and record the result before it is returned."""
        with TemporaryDirectory(prefix="darkroom-") as folder:
            try:
                response = await self._call_provider(attempt, request, Path(folder))
            except TransientError as error:
                count_submit(request.provider, error.code)
                await retry_transient(partial(self._attempts.record_not_sent, attempt))
                raise
            except PermanentError as error:
                return await retry_transient(partial(self._attempts.record_rejected, attempt, error))
            except SubmitAmbiguous as error:
                activity.logger.warning("submit of %s is ambiguous: %s", attempt.generation_id, error)
                return await retry_transient(partial(self._attempts.record_unknown, attempt))
            # The provider has the job from here on: no failure below may look as if it had not, and a job
            # id that is not recorded is lost.
            if isinstance(response, SyncResult):
                return await self._sync_results.record(attempt, request, response)
            return await retry_transient(partial(self._attempts.record_accepted, attempt, response))

    async def _call_provider(
        self, attempt: AttemptRef, request: GenerationRequest, folder: Path
    ) -> ProviderJob | SyncResult:
        """Ask the provider for a job, or for the images themselves. Raises like the two ports."""
        name = request.provider
        if paused_seconds := await self._slots.paused_seconds(name):
            raise ProviderThrottled(f"{name} is paused", retry_after_seconds=paused_seconds)
        async with self._inputs.load(request) as (images, mask):
            submission = Submission(attempt, request, self._webhook_url(name, attempt), images, mask)
            try:
                if name in self._synchronous:
                    return await self._synchronous[name].generate(submission, folder)
                return await self._providers[name].submit(submission)
            except ProviderThrottled as error:
                # A 429 pauses the provider for every attempt.
                await self._slots.pause(name, error.retry_after_seconds or _DEFAULT_PAUSE_SECONDS)
                raise


def _failed_after_payment(result: ProviderResult, error: ServiceError) -> ProviderResult:
    """Return the result of images that were charged and then lost on the way to our storage."""
    return replace(
        result,
        status=JobStatus.FAILED,
        code=error.code,
        does_not_charge=False,
        provider_message=str(error),
    )


async def _run_to_completion(submitting: Coroutine[Any, Any, SubmitResult]) -> SubmitResult:
    """Finish even if Temporal timed the activity out for missed heartbeats.

    The provider's work is paid for, and the attempt's row keeps the result for the next run to read.
    """
    task = asyncio.create_task(submitting)
    while not task.done():
        try:
            await asyncio.shield(task)
        except asyncio.CancelledError:
            if activity.is_worker_shutdown():
                task.cancel()
                raise
    return task.result()
