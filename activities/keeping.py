"""From a local file to an image of a generation in our storage."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path

from temporalio import activity

from activities.metrics import count_stored
from activities.patience import patiently
from domain.errors import ResultUnusable
from domain.generation import Generation, Image, Undelivered
from domain.ports import ImageInspector, ObjectStore


def object_prefix(tenant_id: str, generation_id: str) -> str:
    """Where all objects of a generation are, and nothing else."""
    return f"{tenant_id}/{generation_id}/"


def free_indexes(count: int, undelivered: Sequence[Undelivered]) -> list[int]:
    """The numbers of the delivered images: those that no undelivered one has."""
    missing = {image.index for image in undelivered}
    return [index for index in range(count + len(missing)) if index not in missing][:count]


class Keeper:
    """Believes the bytes and nothing else, and puts them whole or not at all."""

    def __init__(self, inspector: ImageInspector, store: ObjectStore) -> None:
        self._inspector = inspector
        self._store = store

    async def keep(self, generation: Generation, provider: str, index: int, path: Path) -> Image:
        """The key depends on the generation and the index alone, so a re-run overwrites its own.

        Raises ResultUnusable, StorageUnavailable.
        """
        key = f"{object_prefix(generation.tenant_id, generation.id)}{index}"
        facts = await self._inspector.inspect(path)
        await self._store.put(key, path, facts)
        count_stored(provider, facts.size_bytes)
        return Image(
            index, key, facts.width, facts.height, facts.content_type, facts.size_bytes, facts.sha256
        )

    async def keep_all(
        self, generation: Generation, provider: str, paths: dict[int, Path]
    ) -> tuple[list[Image], list[Undelivered]]:
        """Files that exist nowhere else: patient with the store, and with one bad image among good ones."""
        images, unusable = [], []
        for index, path in paths.items():
            try:
                images.append(await patiently(partial(self.keep, generation, provider, index, path)))
            except ResultUnusable as error:
                activity.logger.warning("image %d of %s: %s", index, generation.id, error)
                unusable.append(Undelivered(index, error.code))
        return images, unusable

    async def discard(self, generation: Generation) -> None:
        """Delete what was put for a generation that has ended without it."""
        await self._store.delete_under(object_prefix(generation.tenant_id, generation.id))
