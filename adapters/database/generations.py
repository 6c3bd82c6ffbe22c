"""Generations as clients see them: created, read, listed, canceled."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import bindparam, func, select, tuple_
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from adapters.database.engine import Database
from adapters.database.ids import new_id
from adapters.database.tables import GenerationRow, InputFileRow
from adapters.database.tables.mapping import (
    READ_GENERATION,
    fallback_charging,
    fallback_fields,
    images_from_json,
    images_of,
    is_terminal,
    locked_generation,
    to_generation,
)
from domain.charging import ChargePolicy
from domain.errors import FileNotFound, GenerationNotFound, IdempotencyKeyReused, TooLateToCancel
from domain.generation import Generation, GenerationRequest, Stage, Status
from domain.ports import Page

_OWNER = select(col(GenerationRow.tenant_id)).where(col(GenerationRow.id) == bindparam("id"))
_HELD_FILES = (
    select(col(InputFileRow.id))
    .where(
        col(InputFileRow.id).in_(bindparam("ids", expanding=True)), col(InputFileRow.expires_at) > func.now()
    )
    .order_by(col(InputFileRow.id))
    .with_for_update(read=True)
)
_PAST_CANCELING = (Stage.STORING, Stage.SETTLING)


class PostgresGenerations:
    """The rows that outlive every workflow."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def create(
        self, tenant_id: str, request: GenerationRequest, key: str | None, fingerprint: str
    ) -> tuple[Generation, bool]:
        values = _values(tenant_id, request) | {"idempotency_key": key, "fingerprint": fingerprint}
        statement = (
            insert(GenerationRow)
            .values(values)
            .on_conflict_do_nothing(index_elements=["tenant_id", "idempotency_key"])
            .returning(GenerationRow)
        )
        files = [*request.inputs, *([request.mask] if request.mask else [])]
        # With files in one transaction: none may be deleted between the look and the insert.
        async with self._database.begin() if files else self._database.each() as session:
            if files:
                await _hold_files(session, files)
            row = await session.scalar(statement)
            if row is not None:
                return to_generation(row), True
            existing = await session.scalar(
                select(GenerationRow).where(
                    col(GenerationRow.tenant_id) == tenant_id, col(GenerationRow.idempotency_key) == key
                )
            )
            assert existing is not None  # rows are never deleted
            if existing.fingerprint != fingerprint:
                raise IdempotencyKeyReused
            return await _with_images(session, existing), False

    async def find_by_key(self, tenant_id: str, key: str) -> tuple[Generation, str] | None:
        query = select(GenerationRow).where(
            col(GenerationRow.tenant_id) == tenant_id, col(GenerationRow.idempotency_key) == key
        )
        async with self._database.begin() as session:
            row = await session.scalar(query)
            return (await _with_images(session, row), row.fingerprint) if row is not None else None

    async def get_generation(self, generation_id: str) -> Generation:
        rows = await self._database.call(READ_GENERATION, {"generation": generation_id})
        if not rows:
            raise GenerationNotFound
        return to_generation(rows[0], images_from_json(rows[0].images))

    async def get_generation_of(self, tenant_id: str, generation_id: str) -> Generation:
        generation = await self.get_generation(generation_id)
        if generation.tenant_id != tenant_id:
            raise GenerationNotFound
        return generation

    async def list_generations(
        self, tenant_id: str, *, status: Status | None, after: Page | None, limit: int
    ) -> Sequence[Generation]:
        created_at, row_id = col(GenerationRow.created_at), col(GenerationRow.id)
        query = select(GenerationRow).where(
            col(GenerationRow.tenant_id) == tenant_id, col(GenerationRow.deleted_at).is_(None)
        )
        if status is not None:
            query = query.where(col(GenerationRow.status) == status)
        if after is not None:
            query = query.where(tuple_(created_at, row_id) < tuple_(after.created_at, after.id))
        query = query.order_by(created_at.desc(), row_id.desc()).limit(limit)
        async with self._database.begin() as session:
            rows = (await session.scalars(query)).all()
            completed = [row.id for row in rows if row.status == Status.COMPLETED]
            images = await images_of(session, completed)
        return [to_generation(row, images.get(row.id, ())) for row in rows]

    async def record_cancel_request(self, tenant_id: str, generation_id: str) -> Generation:
        async with self._database.begin() as session:
            # Before the lock: another tenant must not wait for it, nor learn that there is one.
            if await session.scalar(_OWNER, {"id": generation_id}) != tenant_id:
                raise GenerationNotFound
            row = await locked_generation(session, generation_id)
            if row.status != Status.CANCELED:
                if is_terminal(row) or row.stage in _PAST_CANCELING:
                    raise TooLateToCancel
                if row.cancel_requested_at is None:
                    row.cancel_requested_at = await session.scalar(select(func.now()))
            return to_generation(row)


async def _hold_files(session: AsyncSession, file_ids: Sequence[str]) -> None:
    """Keep files from being deleted until the transaction ends. Raises FileNotFound for one that expired."""
    found = await session.scalars(_HELD_FILES, {"ids": list(set(file_ids))})
    if set(found) != set(file_ids):
        raise FileNotFound


async def _with_images(session: AsyncSession, row: GenerationRow) -> Generation:
    if row.status != Status.COMPLETED:
        return to_generation(row)
    return to_generation(row, (await images_of(session, [row.id])).get(row.id, ()))


def _values(tenant_id: str, request: GenerationRequest) -> dict[str, Any]:
    return {
        "id": new_id("gen"),
        "tenant_id": tenant_id,
        "model": request.model,
        "provider": request.provider,
        "endpoint": request.endpoint,
        "prompt": request.prompt,
        "parameters": dict(request.parameters),
        "client_metadata": dict(request.metadata),
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
    }
