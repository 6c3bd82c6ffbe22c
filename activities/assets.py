"""Bringing finished images home."""

from collections.abc import Mapping
from dataclasses import replace

from temporalio import activity

from activities.door import Door
from activities.keeping import Keeper, free_indexes
from domain.errors import NotDelivered, ResultExpired, ResultUnavailable, ResultUnusable
from domain.generation import Image, Outcome, Undelivered
from domain.ports import Assets, Attempts, Downloader, Provider, Storing
from domain.provider import AttemptRef, ResultFile, StoreAnswer, StoreRequest, StoreState, Verdict


class AssetActivities:
    """Copies images from provider addresses, which die, to our own store."""

    def __init__(
        self,
        providers: Mapping[str, Provider],
        attempts: Attempts,
        assets: Assets,
        downloader: Downloader,
        keeper: Keeper,
        door: Door,
    ) -> None:
        self._providers = providers
        self._attempts = attempts
        self._assets = assets
        self._downloader = downloader
        self._keeper = keeper
        self._door = door

    @activity.defn
    async def store_assets(self, wanted: StoreRequest) -> StoreAnswer:
        """Store every image of the result, then record them all at once."""
        storing = await self._assets.begin_storing(wanted.attempt, wanted.inbox_id)
        if storing is None:
            return StoreAnswer(StoreState.CANCELED)
        if isinstance(storing, Outcome):
            return StoreAnswer(StoreState.ALREADY_TERMINAL, outcome=storing)
        await self._door.hand_out(storing.provider)
        if storing.recorded:
            return StoreAnswer(StoreState.STORED, len(storing.recorded))
        images, undelivered = await self._images(wanted.attempt, storing)
        if not images:
            raise ResultUnusable(f"none of {len(undelivered)} images can be used")
        generation = storing.generation
        if not await self._assets.finish_storing(generation.id, images, undelivered):
            # Ended while we stored, by an operator or a deadline: nothing may be left behind.
            await self._keeper.discard(generation)
        return StoreAnswer(StoreState.STORED, len(images))

    async def _images(
        self, attempt: AttemptRef, storing: Storing
    ) -> tuple[list[Image], tuple[Undelivered, ...]]:
        if storing.delivered:
            return list(storing.delivered), storing.undelivered
        try:
            return await self._copy(storing if storing.files else await self._renewed(attempt, storing))
        except ResultExpired:
            return await self._copy(await self._renewed(attempt, storing), is_renewed=True)

    async def _copy(
        self, storing: Storing, *, is_renewed: bool = False
    ) -> tuple[list[Image], tuple[Undelivered, ...]]:
        """What cannot be used is missing; the others are delivered and paid for."""
        # More than was asked for would be stored for nothing: the price covers n.
        n = storing.generation.request.n
        files = storing.files[:n]
        indexes = free_indexes(len(files), storing.undelivered)
        images, unusable, expired = [], [], None
        for index, file in zip(indexes, files, strict=True):
            try:
                images.append(await self._copy_one(storing, index, file))
            except ResultUnusable as error:
                activity.logger.warning("image %d of %s: %s", index, storing.generation.id, error)
                unusable.append(Undelivered(index, error.code))
            except ResultExpired as error:
                # Fresh addresses may help. Where they do not, the others are delivered.
                if not is_renewed:
                    raise
                expired = error
                unusable.append(Undelivered(index, NotDelivered.code))
        if expired is not None and not images:
            raise expired
        # A webhook does not say how many were asked for, so its adapter could not see that some are missing.
        known = {*indexes, *(image.index for image in storing.undelivered)}
        missing = [Undelivered(index, NotDelivered.code) for index in range(n) if index not in known]
        return images, (*storing.undelivered, *unusable, *missing)

    async def _copy_one(self, storing: Storing, index: int, file: ResultFile) -> Image:
        hosts = self._providers[storing.provider].result_hosts
        async with self._downloader.fetch(file.url, hosts) as path:
            return await self._keeper.keep(storing.generation, storing.provider, index, path)

    async def _renewed(self, attempt: AttemptRef, storing: Storing) -> Storing:
        """With addresses that are alive, from the provider. Raises ResultExpired if it has none."""
        record = await self._attempts.job(attempt)
        if record.job is None or storing.provider not in self._providers:
            raise ResultUnusable("no result and no job to ask for one")
        result = await self._providers[storing.provider].fetch(record.request, record.job)
        if result.verdict is Verdict.RUNNING:
            raise ResultUnavailable("the provider says that the job still runs")
        if result.verdict is not Verdict.SUCCEEDED:
            raise ResultExpired
        await self._attempts.record_result(attempt, result)
        return replace(storing, files=result.files, undelivered=result.undelivered)
