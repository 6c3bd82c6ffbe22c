"""The images of a synchronous provider's response, on their way into our storage."""

import asyncio
from dataclasses import replace
from functools import partial

from activities.assets import ImageWriter, delivered_indexes
from activities.retry import retry_transient
from domain.errors import ResultUnusable, ServiceError
from domain.generation import Generation, GenerationRequest, Image
from domain.ports import Assets, Attempts
from domain.provider import (
    AttemptRef,
    JobStatus,
    PollResult,
    ProviderResult,
    SubmitResult,
    SubmitState,
    SyncResult,
)


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
        """Return the result as it is after storing, and the stored images.

        While the object store is away the bytes go to the database, where the death of this worker does not
        lose them, and the workflow's next step stores them.
        """
        files = response.files[: request.n]
        indexes = delivered_indexes(len(files), response.result.undelivered)
        paths = dict(zip(indexes, files, strict=True))
        images, unusable = await self._writer.store_all(generation, request.provider, paths)
        decided = {*(image.index for image in images), *(image.index for image in unusable)}
        unstored = [index for index in indexes if index not in decided]
        for index in unstored:
            content = await retry_transient(partial(asyncio.to_thread, paths[index].read_bytes))
            await retry_transient(partial(self._assets.save_unstored, generation.id, index, content))
        if not images and not unstored:
            error = ResultUnusable("no image of the response can be used")
            return _failed_after_payment(response.result, error), []
        return replace(response.result, undelivered=(*response.result.undelivered, *unusable)), images


def _failed_after_payment(result: ProviderResult, error: ServiceError) -> ProviderResult:
    """Return the result of images that were charged and cannot be delivered."""
    return replace(
        result,
        status=JobStatus.FAILED,
        code=error.code,
        does_not_charge=False,
        provider_message=str(error),
    )
