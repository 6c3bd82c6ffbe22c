"""Bringing finished images home."""

from collections.abc import Mapping

from temporalio import activity

from activities.metrics import count_stored
from domain.errors import ResultExpired, ResultUnavailable, ResultUnusable
from domain.generation import Image, Outcome
from domain.ports import Assets, Attempts, Downloader, ImageInspector, ObjectStore, Provider, Storing
from domain.provider import AttemptRef, ResultFile, StoreAnswer, StoreRequest, StoreState, Verdict


class AssetActivities:
    """Copies images from provider addresses, which die, to our own store."""

    def __init__(
        self,
        providers: Mapping[str, Provider],
        attempts: Attempts,
        assets: Assets,
        downloader: Downloader,
        inspector: ImageInspector,
        store: ObjectStore,
    ) -> None:
        self._providers = providers
        self._attempts = attempts
        self._assets = assets
        self._downloader = downloader
        self._inspector = inspector
        self._store = store

    @activity.defn
    async def store_assets(self, wanted: StoreRequest) -> StoreAnswer:
        """Store every image of the result, then record them all at once."""
        storing = await self._assets.begin_storing(wanted.attempt, wanted.inbox_id)
        if storing is None:
            return StoreAnswer(StoreState.CANCELED)
        if isinstance(storing, Outcome):
            return StoreAnswer(StoreState.ALREADY_TERMINAL, outcome=storing)
        if storing.stored:
            return StoreAnswer(StoreState.STORED, len(storing.stored))
        images = await self._copy_all(wanted.attempt, storing)
        if not await self._assets.finish_storing(storing.generation.id, images):
            # Ended while we stored, by an operator or a deadline: nothing may be left behind.
            generation = storing.generation
            await self._store.delete_under(object_prefix(generation.tenant_id, generation.id))
        return StoreAnswer(StoreState.STORED, len(images))

    async def _copy_all(self, attempt: AttemptRef, storing: Storing) -> list[Image]:
        # More than was asked for would be stored for nothing: the price covers n.
        files = storing.files[: storing.generation.request.n]
        try:
            return await self._copy(storing, files or await self._fresh_files(attempt, storing))
        except ResultExpired:
            return await self._copy(storing, await self._fresh_files(attempt, storing))

    async def _copy(self, storing: Storing, files: tuple[ResultFile, ...]) -> list[Image]:
        return [await self._copy_one(storing, index, file) for index, file in enumerate(files)]

    async def _copy_one(self, storing: Storing, index: int, file: ResultFile) -> Image:
        """The key depends on the generation and the index alone, so a re-run overwrites its own."""
        generation = storing.generation
        provider = self._providers[generation.request.provider]
        key = f"{object_prefix(generation.tenant_id, generation.id)}{index}"
        async with self._downloader.fetch(file.url, provider.result_hosts) as path:
            facts = await self._inspector.inspect(path)
            await self._store.put(key, path, facts)
        count_stored(provider.name, facts.size_bytes)
        return Image(
            index, key, facts.width, facts.height, facts.content_type, facts.size_bytes, facts.sha256
        )

    async def _fresh_files(self, attempt: AttemptRef, storing: Storing) -> tuple[ResultFile, ...]:
        """Ask the provider for addresses that are alive. Raises ResultExpired if it has none."""
        request, job = await self._attempts.job(attempt)
        if job is None:
            raise ResultUnusable("no result and no job to ask for one")
        result = await self._providers[request.provider].fetch(request, job)
        if result.verdict is Verdict.RUNNING:
            raise ResultUnavailable("the provider says that the job still runs")
        if result.verdict is not Verdict.SUCCEEDED:
            raise ResultExpired
        await self._attempts.record_result(attempt, result)
        return result.files[: storing.generation.request.n]


def object_prefix(tenant_id: str, generation_id: str) -> str:
    """Where all objects of a generation are, and nothing else."""
    return f"{tenant_id}/{generation_id}/"
