"""Images on their way into our storage."""

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import IO

from temporalio import activity

from activities.metrics import count_finished, count_stored
from activities.provider_slots import SlotGranter
from activities.retry import retry_transient
from domain.errors import (
    NotDelivered,
    ProviderThrottled,
    ProviderUnavailable,
    ResultExpired,
    ResultUnavailable,
    ResultUnusable,
    ServiceError,
    TransientError,
)
from domain.generation import Generation, Image, Undelivered
from domain.ports import (
    Assets,
    Attempts,
    Downloader,
    ImageInspector,
    Ledger,
    ObjectStore,
    Provider,
    ResultToStore,
)
from domain.provider import AttemptRef, JobStatus, ResultFile, StoreRequest, StoreResult, StoreState

# An outage that lasts longer than this is one that the images of a response do not wait for in memory.
_STORE_SECONDS = 3.0
# Nor do they wait longer for a decoder, as the death of this worker would lose them.
_DECODE_SECONDS = 60.0
_DEFAULT_LIFETIME_SECONDS = 3600.0
_BROKEN_IMAGE_PAUSES = (0.5, 2.0)
_MAX_EXTRA_IMAGES = 10
# How long an address that does not work (yet, or any more) is tried, whatever its lifetime.
_MAX_MISSING_SECONDS = 600.0

_NOT_FETCHED = (ResultExpired, ResultUnavailable, ProviderUnavailable, ProviderThrottled)


def object_key(generation: Generation, index: int) -> str:
    return f"{generation.tenant_id}/{generation.id}/{index}"


def object_keys(generation: Generation) -> list[str]:
    """Return every key that an image of the generation can have."""
    return [object_key(generation, index) for index in range(_max_images(generation))]


def _max_images(generation: Generation) -> int:
    """Return below which index images are stored: one that is unusable may have another in its place."""
    return generation.request.n + _MAX_EXTRA_IMAGES


def delivered_indexes(count: int, undelivered: Sequence[Undelivered]) -> list[int]:
    """Return the indexes of `count` delivered images: those that no undelivered image has."""
    missing = {image.index for image in undelivered}
    return [index for index in range(count + len(missing)) if index not in missing][:count]


class ImageWriter:
    """Checks the bytes of an image and puts them into our storage, whole or not at all."""

    def __init__(self, inspector: ImageInspector, store: ObjectStore) -> None:
        self._inspector = inspector
        self._store = store

    async def store(self, generation: Generation, provider: str, index: int, path: Path) -> Image:
        """Store one image. Its key depends on the generation and the index alone, so a re-run overwrites it.

        Raises ResultUnusable, StorageUnavailable, ImageDecoderUnavailable, TooManyAtOnce.
        """
        key = object_key(generation, index)
        async with self._inspector.prepare_image(path, generation.tenant_id) as image:
            facts = image.facts
            await self._store.put_object(key, image.path, facts)
        count_stored(provider, facts.size_bytes)
        return Image(
            index,
            key,
            facts.width,
            facts.height,
            facts.content_type,
            facts.size_bytes,
            facts.sha256,
            image.source_sha256,
        )

    async def store_all(
        self, generation: Generation, provider: str, paths: Mapping[int, Path]
    ) -> tuple[list[Image], list[Undelivered]]:
        """Store files that exist nowhere else. An unusable image does not keep the others from delivery.

        Those that could not be decoded or stored within a few seconds, for an outage of ours, or had no
        decoder within a minute, are in neither list.
        """
        images, unusable = [], []
        for index, path in paths.items():
            store = partial(self.store, generation, provider, index, path)
            try:
                async with asyncio.timeout(_DECODE_SECONDS):
                    images.append(await retry_transient(store, budget_seconds=_STORE_SECONDS))
            except ResultUnusable as error:
                activity.logger.warning("image %d of %s: %s", index, generation.id, error)
                unusable.append(Undelivered(index, error.code))
            except (TransientError, TimeoutError) as error:
                activity.logger.warning("image %d of %s is stored later: %s", index, generation.id, error)
        return images, unusable

    async def discard(self, generation: Generation) -> None:
        """Delete what was put for a generation that has ended without it."""
        await self._store.delete_objects(object_keys(generation))


class AssetActivities:
    """Copies images from the provider's addresses, which expire, to our own storage."""

    def __init__(
        self,
        providers: Mapping[str, Provider],
        attempts: Attempts,
        assets: Assets,
        ledger: Ledger,
        downloader: Downloader,
        writer: ImageWriter,
        slots: SlotGranter,
        result_lifetimes: Mapping[str, float],
    ) -> None:
        self._providers = providers
        self._attempts = attempts
        self._assets = assets
        self._ledger = ledger
        self._downloader = downloader
        self._writer = writer
        self._slots = slots
        self._result_lifetimes = result_lifetimes

    @activity.defn
    async def store_assets(self, wanted: StoreRequest) -> StoreResult:
        """Store every image of the result, then record them all at once and charge for them.

        A failure is raised as one that Temporal retries, as long as the result may still be fetched. An
        outage of our own storage is waited out even longer: what could be fetched again, can be stored.
        """
        start = await self._assets.begin_storing(wanted.attempt, wanted.inbox_id)
        if start.outcome is not None:
            return StoreResult(StoreState.ALREADY_TERMINAL, outcome=start.outcome)
        if start.result is None:
            return StoreResult(StoreState.CANCELED)
        result = start.result
        if result.is_grant_due:
            await self._slots.grant_free_slots(result.provider)
        if result.recorded:
            return StoreResult(StoreState.STORED, len(result.recorded))
        try:
            images, undelivered = await self._store(wanted.attempt, result)
        except _NOT_FETCHED as error:
            raise self._after_failed_fetch(result, error) from error
        if not images:
            raise ResultUnusable(f"none of {len(undelivered)} images can be used")
        generation = result.generation
        # The images are stored: an outage of the database is waited out here, not by fetching them again.
        complete = partial(self._ledger.complete, generation.id, images, undelivered, generation.tenant_id)
        completion = await retry_transient(complete)
        if not completion.keeps_images:
            # An operator or a deadline ended it while this ran: no object may be left behind.
            await self._writer.discard(generation)
        count_finished(completion.outcome)
        return StoreResult(StoreState.STORED, len(images), completion.outcome)

    def _after_failed_fetch(self, result: ResultToStore, error: ServiceError) -> ServiceError:
        """Return the error to end with: to be tried again, unless the result must be gone by now."""
        lifetime_seconds = self._result_lifetimes.get(result.provider, _DEFAULT_LIFETIME_SECONDS)
        if isinstance(error, ResultExpired):  # a new address may be unknown to a part of the provider's hosts
            lifetime_seconds = min(lifetime_seconds, _MAX_MISSING_SECONDS)
        if result.age_seconds < lifetime_seconds:
            return ResultUnavailable(str(error))
        return ResultExpired(f"not fetched in {result.age_seconds:.0f} s: {error}")

    async def _store(
        self, attempt: AttemptRef, result: ResultToStore
    ) -> tuple[list[Image], tuple[Undelivered, ...]]:
        if result.delivered or result.unstored:
            images, unusable = await self._store_unstored(result)
            return [*result.delivered, *images], (*result.undelivered, *unusable)
        try:
            return await self._copy(result if result.files else await self._refresh(attempt, result))
        except ResultExpired:
            return await self._copy(await self._refresh(attempt, result), is_fresh=True)

    async def _store_unstored(self, result: ResultToStore) -> tuple[list[Image], list[Undelivered]]:
        """Store what the object store could not take when the response came."""
        images, unusable = [], []
        for index in result.unstored:
            content = await self._assets.load_unstored(result.generation.id, index)
            with NamedTemporaryFile(prefix="darkroom-") as file:
                await asyncio.to_thread(_write, file.file, content)
                path = Path(file.name)
                try:
                    image = await self._writer.store(result.generation, result.provider, index, path)
                    images.append(image)
                except ResultUnusable as error:
                    activity.logger.warning("image %d of %s: %s", index, result.generation.id, error)
                    unusable.append(Undelivered(index, error.code))
        return images, unusable

    async def _copy(
        self, result: ResultToStore, *, is_fresh: bool = False
    ) -> tuple[list[Image], tuple[Undelivered, ...]]:
        """Copy every image; what cannot be used is undelivered, the others are delivered and charged."""
        # More images than requested are ignored: the price covers n.
        n = result.generation.request.n
        files = result.files[:n]
        indexes = delivered_indexes(len(files), result.undelivered)
        images, unusable, expired = [], [], None
        for index, file in zip(indexes, files, strict=True):
            if index >= _max_images(result.generation):
                break
            try:
                images.append(await self._copy_one(result, index, file))
            except ResultUnusable as error:
                activity.logger.warning("image %d of %s: %s", index, result.generation.id, error)
                unusable.append(Undelivered(index, error.code))
            except ResultExpired as error:
                # Fresh addresses may help. If these are fresh, the other images are delivered.
                if not is_fresh:
                    raise
                expired = error
                unusable.append(Undelivered(index, NotDelivered.code))
        if expired is not None and not images:
            raise expired
        # A webhook does not say how many were requested, so its adapter could not tell which are missing.
        known = {*indexes, *(image.index for image in result.undelivered)}
        missing = [Undelivered(index, NotDelivered.code) for index in range(n) if index not in known]
        return images, (*result.undelivered, *unusable, *missing)

    async def _copy_one(self, result: ResultToStore, index: int, file: ResultFile) -> Image:
        """Copy an image. One that is broken is fetched again: a body without a length may have been cut."""
        hosts = self._providers[result.provider].result_hosts
        for pause_seconds in _BROKEN_IMAGE_PAUSES:
            async with self._downloader.download(file.url, hosts) as path:
                with suppress(ResultUnusable):
                    return await self._writer.store(result.generation, result.provider, index, path)
            await asyncio.sleep(pause_seconds)
        async with self._downloader.download(file.url, hosts) as path:
            return await self._writer.store(result.generation, result.provider, index, path)

    async def _refresh(self, attempt: AttemptRef, result: ResultToStore) -> ResultToStore:
        """Ask the provider for fresh addresses. Raises ResultExpired if it has none."""
        record = await self._attempts.get_attempt(attempt)
        if record.job is None or result.provider not in self._providers:
            raise ResultUnusable("no result and no job to poll for one")
        polled = await self._providers[result.provider].poll_job(record.request, record.job)
        if polled.status is JobStatus.RUNNING:
            raise ResultUnavailable("the provider says that the job still runs")
        if polled.status is not JobStatus.SUCCEEDED:
            raise ResultExpired
        await self._attempts.record_result(attempt, polled)
        return replace(result, files=polled.files, undelivered=polled.undelivered)


def _write(file: IO[bytes], content: bytes) -> None:
    file.write(content)
    file.flush()
