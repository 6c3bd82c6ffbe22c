"""Input files in memory."""

from collections.abc import Collection, Mapping, Sequence
from datetime import timedelta

from domain.errors import FileNotFound
from domain.input_files import FilePurpose, ImageFacts, InputFile
from tests.support.requests import NOW


class MemoryInputFiles:
    """The InputFiles port without expiry."""

    def __init__(self) -> None:
        self.rows: dict[str, InputFile] = {}

    async def add_file(
        self,
        tenant_id: str,
        file_id: str,
        key: str,
        facts: ImageFacts,
        purpose: FilePurpose = FilePurpose.IMAGE,
    ) -> InputFile:
        file = InputFile(file_id, tenant_id, key, facts, NOW, NOW + timedelta(days=1), purpose)
        self.rows[file_id] = file
        return file

    async def use_files(self, tenant_id: str, file_ids: Sequence[str]) -> Sequence[InputFile]:
        files = [await self.get_file_of(tenant_id, file_id) for file_id in file_ids]
        if any(file.purpose is not FilePurpose.IMAGE for file in files):
            raise FileNotFound
        return files

    async def get_file_of(self, tenant_id: str, file_id: str) -> InputFile:
        (file,) = await self.get_files([file_id])
        if file.tenant_id != tenant_id:
            raise FileNotFound
        return file

    async def find_files_of(self, tenant_id: str, file_ids: Collection[str]) -> Mapping[str, InputFile]:
        found = {file_id: self.rows[file_id] for file_id in file_ids if file_id in self.rows}
        return {file_id: file for file_id, file in found.items() if file.tenant_id == tenant_id}

    async def get_files(self, file_ids: Sequence[str]) -> Sequence[InputFile]:
        try:
            return [self.rows[file_id] for file_id in file_ids]
        except KeyError:
            raise FileNotFound from None

    async def list_expired_files(self, limit: int) -> Sequence[InputFile]:
        return []

    async def delete_file(self, file_id: str) -> None:
        self.rows.pop(file_id, None)
