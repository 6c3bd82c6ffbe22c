"""Between rows and domain types: generations, requests, results.

Results in JSON columns hold bearer secrets and a provider's messages, which must not reach any log.
"""

from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import Any

from sqlalchemy import ColumnElement, Row, Table, TextualSelect, bindparam, column, select, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.inspection import inspect
from sqlmodel import SQLModel, col

from adapters.database.tables import GenerationRow
from adapters.database.tables.controls import to_canceled_by, to_controls
from adapters.database.tables.routes import ATTEMPTS_OF, notes_from_json, selected_attempts
from domain.charging import ChargePolicies, ChargePolicy
from domain.errors import GenerationNotFound
from domain.generation import (
    Generation,
    GenerationError,
    GenerationRequest,
    Image,
    Outcome,
    Stage,
    Status,
    Undelivered,
)
from domain.moderation import ModeratedAt
from domain.provider import JobStatus, ProviderResult, ResultFile

StoredResult = dict[str, Any] | None
# A row of the session, or of one statement (`with_generation`): both have the same attributes.
AnyGenerationRow = GenerationRow | Row[Any]

# Built once: SQLAlchemy computes a cache key for each new statement, which is slow.
_LOCKED = select(GenerationRow).where(col(GenerationRow.id) == bindparam("id")).with_for_update()


_ATTRIBUTES = {attribute.columns[0].name: attribute.key for attribute in inspect(GenerationRow).column_attrs}
GENERATIONS: Table = SQLModel.metadata.tables["generations"]


def generation_columns() -> list[ColumnElement[Any]]:
    """Return the columns of a generation, named as the attributes of its row."""
    return [GENERATIONS.columns[name].label(key) for name, key in _ATTRIBUTES.items()]


def with_generation(source: str, row: str, **types: Any) -> TextualSelect:
    """Return a statement that selects these columns, and those of a generation.

    source: what follows FROM. row: the generation's row in it. types: of the first columns, by name.
    """
    own = ", ".join([*types, *(f"{row}.{name} AS {key}" for name, key in _ATTRIBUTES.items())])
    columns = [column(name, kind) for name, kind in types.items()]
    columns += [column(key, GENERATIONS.columns[name].type) for name, key in _ATTRIBUTES.items()]
    return text(f"SELECT {own} FROM {source}").columns(*columns)  # noqa: S608 - constants


OUTCOME = text("SELECT * FROM outcome_of(:generation)")


def read_generations(condition: str) -> TextualSelect:
    """Return a statement that selects generations, what `attempts` they made, and paid `images`."""
    return with_generation(
        f"""generations LEFT JOIN LATERAL (
            SELECT jsonb_agg(to_jsonb(image) - 'generation_id' - 'created_at' ORDER BY index) AS images
            FROM images AS image WHERE generation_id = generations.id AND generations.status = 'completed'
        ) AS stored ON true LEFT JOIN LATERAL ({ATTEMPTS_OF}) AS made ON true
        WHERE {condition}""",  # noqa: S608 - constants
        "generations",
        images=JSONB,
        attempts=JSONB,
    )


async def locked_generation(session: AsyncSession, generation_id: str) -> GenerationRow:
    """Lock a row until the transaction ends. Always the first lock taken. Raises GenerationNotFound."""
    row: GenerationRow | None = await session.scalar(_LOCKED, {"id": generation_id})
    if row is None:
        raise GenerationNotFound
    return row


def to_outcome(generation_id: str, row: Row[Any]) -> Outcome:
    """Return how a generation ended, from the columns of the function `outcome_of`."""
    return Outcome(generation_id, Status(row.status), row.code, row.charged_credits, row.images)


def is_terminal(row: GenerationRow) -> bool:
    return Status(row.status).is_terminal


def set_stage(row: GenerationRow, stage: Stage) -> None:
    """Set a stage; a trigger sets the times.

    The status never falls: a job that waits for its second provider, or was pushed back, keeps its status.
    """
    row.stage, row.status = stage, Status(row.status).advanced_to(stage.status)


def to_request(row: AnyGenerationRow, ordinal: int = 1) -> GenerationRequest:
    """Return the request as the provider of this attempt takes it."""
    if ordinal > 1 and row.fallback is not None:
        return replace(_request(row), **row.fallback)
    return _request(row)


def fallback_fields(request: GenerationRequest) -> dict[str, Any] | None:
    """Return the request fields that differ for the fallback."""
    other = request.fallback
    if other is None:
        return None
    return {
        "model": other.model,
        "provider": other.provider,
        "endpoint": other.endpoint,
        "parameters": dict(other.parameters),
    }


def charging_of(row: AnyGenerationRow) -> ChargePolicies:
    """Return the policies of the client's model. Processes of the version before write one of them only."""
    moderation = ChargePolicy.CHARGE if row.charges_rejected else ChargePolicy(row.moderation)
    return ChargePolicies(ChargePolicy(row.cancel_after_submit), moderation, row.credits_per_cost_unit)


def fallback_charging(request: GenerationRequest) -> dict[str, Any] | None:
    """Return the policies of the fallback's model as their JSON column."""
    return asdict(request.fallback.charging) if request.fallback is not None else None


def keeps_provider_data(row: AnyGenerationRow) -> bool:
    """Return whether what a provider says may be stored: not once it was erased, however late it comes."""
    return row.content_erased_at is None and row.provider_data_erased_at is None


def _request(row: AnyGenerationRow) -> GenerationRequest:
    return GenerationRequest(
        model=row.model,
        provider=row.provider,
        endpoint=row.endpoint,
        prompt=row.prompt,
        parameters=row.parameters,
        n=row.n,
        price_credits=row.price_credits,
        metadata=row.client_metadata,
        inputs=tuple(row.inputs),
        mask=row.mask,
        charging=charging_of(row),
        controls=to_controls(row),
        route_notes=notes_from_json(row.routing),
    )


def to_generation(row: AnyGenerationRow, images: tuple[Image, ...] = ()) -> Generation:
    error = None
    if row.error_code is not None:
        error = GenerationError(row.error_code, _error_stage(row.error_stage))
    request = to_request(row)
    if row.fallback is not None:
        request = replace(request, fallback=to_request(row, ordinal=2))
    return Generation(
        id=row.id,
        tenant_id=row.tenant_id,
        request=request,
        status=Status(row.status),
        stage=Stage(row.stage),
        error=error,
        cancel_requested=row.cancel_requested_at is not None,
        needs_attention=row.needs_attention,
        held_credits=row.held_credits,
        charged_credits=row.charged_credits,
        refunded_credits=row.refunded_credits,
        created_at=row.created_at,
        queued_at=row.queued_at,
        processing_at=row.processing_at,
        finished_at=row.finished_at,
        images=images,
        undelivered=undelivered_from_json(row.undelivered),
        deleted_at=row.deleted_at,
        content_erased_at=row.content_erased_at,
        images_erased_at=row.images_erased_at,
        images_expire_at=row.images_expire_at,
        canceled_by=to_canceled_by(row),
        moved_at=row.moved_at,
        attempts=selected_attempts(row),
        batch_id=row.batch_id,
    )


def _error_stage(stage: str | None) -> Stage | ModeratedAt:
    return ModeratedAt(stage) if stage in list(ModeratedAt) else Stage(stage or Stage.CREATED)


def result_to_json(result: ProviderResult, images: Sequence[Image] = ()) -> dict[str, Any]:
    """Return a result as its JSON column. images: those a synchronous response has put into our storage."""
    return {
        "status": result.status,
        "code": result.code,
        "files": [file.url for file in result.files],
        "images": [_image_to_json(image) for image in images],
        # Apart from the images: processes of the version before read those with exactly their fields.
        "sources": {str(image.index): image.source_sha256 for image in images},
        "undelivered": undelivered_to_json(result.undelivered),
    }


def stored_files(stored: StoredResult) -> tuple[ResultFile, ...]:
    """Return the files of a stored success; none of anything else."""
    return tuple(ResultFile(url) for url in _of_success(stored, "files"))


def images_from_json(stored: Sequence[dict[str, Any]] | None) -> tuple[Image, ...]:
    """Return images that a statement selected as one value."""
    return tuple(Image(**image) for image in stored or ())


def stored_images(stored: StoredResult) -> tuple[Image, ...]:
    images = (Image(**image) for image in _of_success(stored, "images"))
    sources = (stored or {}).get("sources", {})
    return tuple(replace(image, source_sha256=sources.get(str(image.index))) for image in images)


def _image_to_json(image: Image) -> dict[str, Any]:
    fields = asdict(image)
    del fields["source_sha256"]
    return fields


def stored_undelivered(stored: StoredResult) -> tuple[Undelivered, ...]:
    return undelivered_from_json(_of_success(stored, "undelivered"))


def undelivered_to_json(undelivered: Sequence[Undelivered]) -> list[list[Any]]:
    return [[missing.index, missing.code] for missing in undelivered]


def undelivered_from_json(stored: Sequence[Sequence[Any]]) -> tuple[Undelivered, ...]:
    return tuple(Undelivered(int(index), str(code)) for index, code in stored)


def _of_success(stored: StoredResult, name: str) -> Sequence[Any]:
    if stored is None or stored["status"] != JobStatus.SUCCEEDED:
        return ()
    found: Sequence[Any] = stored.get(name, ())
    return found
