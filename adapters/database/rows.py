"""Generation rows: locked for a change, turned into what the domain knows, moved to a stage."""

from collections.abc import Sequence

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from adapters.database.tables import GenerationRow, ImageRow
from domain.errors import GenerationNotFound
from domain.generation import Generation, GenerationRequest, Image, Outcome, Problem, Stage, Status


async def locked_generation(session: AsyncSession, generation_id: str) -> GenerationRow:
    """The row, held until the transaction ends. Always the first lock taken. Raises GenerationNotFound."""
    row = await session.get(GenerationRow, generation_id, with_for_update=True)
    if row is None:
        raise GenerationNotFound
    return row


async def images_of(session: AsyncSession, generation_ids: Sequence[str]) -> dict[str, tuple[Image, ...]]:
    """The stored images of each generation, by index."""
    query = (
        select(ImageRow).where(col(ImageRow.generation_id).in_(generation_ids)).order_by(col(ImageRow.index))
    )
    images: dict[str, tuple[Image, ...]] = {}
    for row in await session.scalars(query):
        images[row.generation_id] = (*images.get(row.generation_id, ()), _image(row))
    return images


async def outcome_of(session: AsyncSession, row: GenerationRow) -> Outcome:
    """The stored ending of a terminal row. Images count only where they were paid for."""
    delivered = 0
    if row.status == Status.COMPLETED:
        delivered = len((await images_of(session, [row.id])).get(row.id, ()))
    return Outcome(row.id, Status(row.status), row.error_code, row.charged_credits, delivered)


def is_terminal(row: GenerationRow) -> bool:
    return Status(row.status).is_terminal


def move_to(row: GenerationRow, stage: Stage) -> None:
    """Write a stage and the status it stands for; the moments are the database's business."""
    row.stage, row.status = stage, stage.status


def to_request(row: GenerationRow) -> GenerationRequest:
    return GenerationRequest(
        model=row.model,
        provider=row.provider,
        endpoint=row.endpoint,
        prompt=row.prompt,
        parameters=row.parameters,
        n=row.n,
        price_credits=row.price_credits,
        metadata=row.client_metadata,
    )


def to_generation(row: GenerationRow, images: tuple[Image, ...] = ()) -> Generation:
    problem = None
    if row.error_code is not None:
        problem = Problem(row.error_code, Stage(row.error_stage or Stage.CREATED))
    return Generation(
        id=row.id,
        tenant_id=row.tenant_id,
        request=to_request(row),
        status=Status(row.status),
        stage=Stage(row.stage),
        problem=problem,
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
    )


def _image(row: ImageRow) -> Image:
    return Image(
        index=row.index,
        key=row.key,
        width=row.width,
        height=row.height,
        content_type=row.content_type,
        size_bytes=row.size_bytes,
        sha256=row.sha256,
    )
