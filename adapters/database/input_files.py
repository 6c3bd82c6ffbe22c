"""Input files: recorded, extended with each use, deleted once expired."""

from collections.abc import Collection, Mapping, Sequence
from datetime import timedelta
from typing import Any

from sqlalchemy import delete, func, insert, select, text, update
from sqlmodel import col

from adapters.database.batch_needs import NEEDED_BY_BATCHES
from adapters.database.engine import Database
from adapters.database.tables import InputFileRow
from adapters.database.tables.columns import TERMINAL
from domain.errors import FileNotFound
from domain.input_files import FilePurpose, ImageFacts, InputFile

_UNUSED_LIFETIME = timedelta(hours=24)
_USED_LIFETIME = timedelta(days=7)
_IMAGES = (col(InputFileRow.purpose) == FilePurpose.IMAGE.value,)
# Read once for a list of files, not once for each of them.
_NEEDED = text(f"""
SELECT jsonb_array_elements_text(inputs) FROM generations
WHERE status NOT IN {TERMINAL} AND tenant_id = ANY (CAST(:tenants AS text[])) AND inputs <> '[]'
UNION
SELECT mask FROM generations
WHERE status NOT IN {TERMINAL} AND tenant_id = ANY (CAST(:tenants AS text[])) AND mask IS NOT NULL
UNION
{NEEDED_BY_BATCHES}
""")  # noqa: S608 - constants


class PostgresInputFiles:
    """The record of every input file. The clock is the database's."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add_file(
        self,
        tenant_id: str,
        file_id: str,
        key: str,
        facts: ImageFacts,
        purpose: FilePurpose = FilePurpose.IMAGE,
    ) -> InputFile:
        statement = (
            insert(InputFileRow)
            .values(
                id=file_id,
                tenant_id=tenant_id,
                key=key,
                width=facts.width,
                height=facts.height,
                content_type=facts.content_type,
                size_bytes=facts.size_bytes,
                sha256=facts.sha256,
                has_alpha=facts.has_alpha,
                purpose=purpose.value,
                expires_at=func.now() + _UNUSED_LIFETIME,
            )
            .returning(InputFileRow)
        )
        async with self._database.begin() as session:
            return _file((await session.scalars(statement)).one())

    async def use_files(self, tenant_id: str, file_ids: Sequence[str]) -> Sequence[InputFile]:
        statement = (
            update(InputFileRow)
            .where(*_of_tenant(tenant_id), *_IMAGES, col(InputFileRow.id).in_(file_ids))
            .values(expires_at=func.greatest(col(InputFileRow.expires_at), func.now() + _USED_LIFETIME))
            .returning(InputFileRow)
        )
        async with self._database.begin() as session:
            found = (await session.scalars(statement)).all()
            return _in_order(found, file_ids)

    async def get_file_of(self, tenant_id: str, file_id: str) -> InputFile:
        query = select(InputFileRow).where(*_of_tenant(tenant_id), col(InputFileRow.id) == file_id)
        async with self._database.begin() as session:
            return _in_order((await session.scalars(query)).all(), [file_id])[0]

    async def find_files_of(self, tenant_id: str, file_ids: Collection[str]) -> Mapping[str, InputFile]:
        query = select(InputFileRow).where(*_of_tenant(tenant_id), col(InputFileRow.id).in_(file_ids))
        async with self._database.begin() as session:
            return {row.id: _file(row) for row in await session.scalars(query)}

    async def get_files(self, file_ids: Sequence[str]) -> Sequence[InputFile]:
        query = select(InputFileRow).where(col(InputFileRow.id).in_(file_ids))
        async with self._database.begin() as session:
            return _in_order((await session.scalars(query)).all(), file_ids)

    async def list_expired_files(self, limit: int) -> Sequence[InputFile]:
        query = (
            select(InputFileRow)
            .where(col(InputFileRow.expires_at) <= func.now())
            .order_by(col(InputFileRow.expires_at))
            .limit(limit)
        )
        async with self._database.begin() as session:
            rows = (await session.scalars(query)).all()
            needed = set(await session.scalars(_NEEDED, {"tenants": list({row.tenant_id for row in rows})}))
            # They live on, and so do not stand before others at the next look.
            await session.execute(
                update(InputFileRow)
                .where(col(InputFileRow.id).in_(needed.intersection(row.id for row in rows)))
                .values(expires_at=func.now() + _UNUSED_LIFETIME)
            )
            return [_file(row) for row in rows if row.id not in needed]

    async def delete_file(self, file_id: str) -> None:
        async with self._database.begin() as session:
            await session.execute(delete(InputFileRow).where(col(InputFileRow.id) == file_id))


def _of_tenant(tenant_id: str) -> tuple[Any, ...]:
    return (col(InputFileRow.tenant_id) == tenant_id, col(InputFileRow.expires_at) > func.now())


def _in_order(rows: Sequence[InputFileRow], file_ids: Sequence[str]) -> Sequence[InputFile]:
    files = {row.id: _file(row) for row in rows}
    if not files.keys() >= set(file_ids):
        raise FileNotFound
    return [files[file_id] for file_id in file_ids]


def _file(row: InputFileRow) -> InputFile:
    facts = ImageFacts(
        width=row.width,
        height=row.height,
        content_type=row.content_type,
        size_bytes=row.size_bytes,
        sha256=row.sha256,
        has_alpha=row.has_alpha,
    )
    purpose = FilePurpose(row.purpose)
    return InputFile(row.id, row.tenant_id, row.key, facts, row.created_at, row.expires_at, purpose)
