"""Input files: images, and lines of batches, that clients bring."""

from collections.abc import Collection, Mapping, Sequence
from typing import Protocol

from domain.input_files import FilePurpose, ImageFacts, InputFile


class InputFiles(Protocol):
    """The record of every input file."""

    async def add_file(
        self,
        tenant_id: str,
        file_id: str,
        key: str,
        facts: ImageFacts,
        purpose: FilePurpose = FilePurpose.IMAGE,
    ) -> InputFile:
        """Record an object. It expires soon unless it is used."""
        ...

    async def use_files(self, tenant_id: str, file_ids: Sequence[str]) -> Sequence[InputFile]:
        """Return images in the order of the ids and extend the life of each.

        Raises FileNotFound for any that is unknown, expired, another tenant's, or no image.
        """
        ...

    async def get_file_of(self, tenant_id: str, file_id: str) -> InputFile:
        """Raises FileNotFound for an unknown one, an expired one, or another tenant's."""
        ...

    async def find_files_of(self, tenant_id: str, file_ids: Collection[str]) -> Mapping[str, InputFile]:
        """Return those of the tenant's files that there are, by their ids."""
        ...

    async def get_files(self, file_ids: Sequence[str]) -> Sequence[InputFile]:
        """Return files in the order of the ids, expired ones too. Raises FileNotFound for any unknown."""
        ...

    async def list_expired_files(self, limit: int) -> Sequence[InputFile]:
        """Return files past their time, of the oldest so many, that no open generation needs.

        The others of these live on for a day.
        """
        ...

    async def delete_file(self, file_id: str) -> None:
        """Delete the record. Its object must be gone already."""
        ...
