"""Generations as clients see them: created, read, listed, canceled."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Executable, Row, bindparam, func, literal, select
from sqlalchemy.dialects.postgresql import JSONB, insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from adapters.database.engine import Database
from adapters.database.generation_lists import GenerationLists
from adapters.database.ids import new_id
from adapters.database.image_requests import add_request, begin_request
from adapters.database.tables import GenerationRow, InputFileRow
from adapters.database.tables.controls import control_values
from adapters.database.tables.mapping import (
    GENERATIONS,
    fallback_charging,
    fallback_fields,
    generation_columns,
    images_from_json,
    is_terminal,
    locked_generation,
    read_generations,
    to_generation,
)
from adapters.database.tables.routes import notes_to_json
from domain.charging import ChargePolicy
from domain.errors import (
    DatabaseUnavailable,
    FileNotFound,
    GenerationNotFound,
    JobFacts,
    OutcomeUnknown,
    TooLateToCancel,
)
from domain.generation import Generation, GenerationRequest, Stage, Status
from domain.image_requests import ImageRequest
from domain.listing import GenerationFilter, GenerationSlice, ListOrder, ListPosition

_OWNER = select(col(GenerationRow.tenant_id)).where(col(GenerationRow.id) == bindparam("id"))
_HELD_FILES = (
    select(col(InputFileRow.id))
    .where(
        col(InputFileRow.id).in_(bindparam("ids", expanding=True)), col(InputFileRow.expires_at) > func.now()
    )
    .order_by(col(InputFileRow.id))
    .with_for_update(read=True)
)
CREATE_GENERATION = (
    insert(GENERATIONS)
    .on_conflict_do_nothing(index_elements=["tenant_id", "idempotency_key"])
    .returning(*generation_columns(), literal([], JSONB).label("attempts"))
)
_READ = read_generations("generations.id = :generation")
_READ_OF = read_generations("generations.id = :generation AND tenant_id = :tenant")
_READ_BY_KEY = read_generations("tenant_id = :tenant AND idempotency_key = :key")
_PAST_CANCELING = (Stage.STORING, Stage.SETTLING)


class PostgresGenerations:
    """The rows that outlive every workflow."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._lists = GenerationLists(database)

    async def create(
        self,
        tenant_id: str,
        request: GenerationRequest,
        key: str | None,
        fingerprint: str,
        image_request: ImageRequest | None = None,
    ) -> tuple[Generation, bool]:
        values = generation_values(tenant_id, request) | {"idempotency_key": key, "fingerprint": fingerprint}
        files = [*request.inputs, *([request.mask] if request.mask else [])]
        try:
            created = await self._insert(values, files, image_request)
        except DatabaseUnavailable as error:
            if not error.may_be_committed:
                raise
            # A commit that got no answer may have been made.
            is_repeatable = key is not None or (image_request is not None and image_request.marks_repeats)
            raise OutcomeUnknown(generation_id=values["id"], is_repeatable=is_repeatable) from error
        if created:
            return to_generation(created[0]), True
        [existing] = await self._database.call(_READ_BY_KEY, {"tenant": tenant_id, "key": key})
        return to_generation(existing, images_from_json(existing.images)), False

    async def _insert(
        self, values: Mapping[str, Any], files: Sequence[str], image_request: ImageRequest | None
    ) -> Sequence[Row[Any]]:
        if not files and image_request is None:
            return await self._database.call(CREATE_GENERATION, values)
        # In one transaction: no file may be deleted between the look and the insert.
        async with self._database.begin() as session:
            if image_request is not None:
                await begin_request(session, image_request)
            if files:
                await hold_files(session, files)
            created = (await session.execute(CREATE_GENERATION, values)).all()
            if image_request is not None and created:
                await add_request(session, image_request, created[0].id)
            return created

    async def find_by_key(self, tenant_id: str, key: str) -> tuple[Generation, str] | None:
        found = await self._database.call(_READ_BY_KEY, {"tenant": tenant_id, "key": key})
        if not found:
            return None
        return to_generation(found[0], images_from_json(found[0].images)), found[0].fingerprint

    async def get_generation(self, generation_id: str) -> Generation:
        return await self._read(_READ, {"generation": generation_id})

    async def get_generation_of(self, tenant_id: str, generation_id: str) -> Generation:
        # Another tenant's row is not even read, so that the time does not tell that it is there.
        return await self._read(_READ_OF, {"generation": generation_id, "tenant": tenant_id})

    async def _read(self, statement: Executable, values: Mapping[str, str]) -> Generation:
        rows = await self._database.call(statement, values)
        if not rows:
            raise GenerationNotFound
        return to_generation(rows[0], images_from_json(rows[0].images))

    async def list_generations(
        self,
        tenant_id: str,
        wanted: GenerationFilter,
        order: ListOrder,
        *,
        after: ListPosition | None,
        limit: int,
    ) -> GenerationSlice:
        return await self._lists.read(tenant_id, wanted, order, after, limit)

    async def record_cancel_request(self, tenant_id: str, generation_id: str) -> Generation:
        async with self._database.begin() as session:
            # Before the lock: another tenant must not wait for it, nor learn that there is one.
            if await session.scalar(_OWNER, {"id": generation_id}) != tenant_id:
                raise GenerationNotFound
            row = await locked_generation(session, generation_id)
            if row.status != Status.CANCELED:
                if is_terminal(row) or row.stage in _PAST_CANCELING:
                    charged = row.charged_credits > 0 if is_terminal(row) else None
                    raise TooLateToCancel(about=JobFacts(row.id, row.stage, charged))
                if row.cancel_requested_at is None:
                    row.cancel_requested_at = await session.scalar(select(func.now()))
            return to_generation(row)


async def hold_files(session: AsyncSession, file_ids: Sequence[str]) -> None:
    """Keep files from being deleted until the transaction ends. Raises FileNotFound for one that expired."""
    found = await session.scalars(_HELD_FILES, {"ids": list(set(file_ids))})
    if set(found) != set(file_ids):
        raise FileNotFound


def generation_values(tenant_id: str, request: GenerationRequest) -> dict[str, Any]:
    """Return the values of a new row's columns, but for its key, its fingerprint and its batch."""
    return {
        "id": new_id("gen"),
        "tenant_id": tenant_id,
        "model": request.model,
        "provider": request.provider,
        "endpoint": request.endpoint,
        "prompt": request.prompt,
        "parameters": dict(request.parameters),
        "metadata": dict(request.metadata),
        "inputs": list(request.inputs),
        "mask": request.mask,
        "fallback": fallback_fields(request),
        "cancel_after_submit": request.charging.cancel_after_submit,
        "moderation": request.charging.moderation,
        "credits_per_cost_unit": dict(request.charging.credits_per_cost_unit),
        "fallback_charging": fallback_charging(request),
        # Processes of the version before read this one.
        "charges_rejected": request.charging.moderation is ChargePolicy.CHARGE,
        "n": request.n,
        "price_credits": request.price_credits,
        "status": Status.CREATED,
        "stage": Stage.CREATED,
        "routing": notes_to_json(request.route_notes),
    } | control_values(request.controls)
