"""From domain types to what a client sees."""

from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from math import ceil
from typing import Any

from api.http.job_view import SubmitDecisions, serialize_routing
from api.http.schemas.files import FileView
from api.http.schemas.generations import (
    CostView,
    ErrorView,
    GenerationView,
    ImageView,
    QueueView,
    UndeliveredView,
    UrlsView,
)
from api.http.schemas.models import InputLimitsView, ModelView, PriceView
from domain.auth import Caller, Scope
from domain.catalog import Catalog
from domain.generation import Generation, GenerationError, Image
from domain.input_files import FilePurpose, InputFile
from domain.keyring import Keyring
from domain.model import Model
from domain.ports import QueuePosition
from domain.url_signatures import image_link_expiry, image_signature


@dataclass(frozen=True)
class GenerationSerializer:
    """Builds what clients see, with absolute, stable URLs. Image URLs are signed, to open without a key.

    Attributes:
        public_url: Where clients reach this API.
        image_link_lifetime: How long a link to an image opens it, at least.
        temporal_ui: Where operators see workflows, such as `http://…/namespaces/default/workflows`; None
            leaves the link out.
        submit_decisions: What can end the doubt about a submit.
    """

    public_url: str
    keyring: Keyring
    image_link_lifetime: timedelta
    temporal_ui: str | None
    submit_decisions: SubmitDecisions = field(default_factory=SubmitDecisions)

    def serialize_for(self, caller: Caller, generation: Generation) -> GenerationView:
        """Leave out what the client sent and got, for a key that may write and not read."""
        view = self.serialize(generation)
        if Scope.READ_GENERATIONS not in caller.scopes:
            view.prompt, view.mask, view.inputs, view.images, view.metadata = None, None, [], [], {}
        return view

    def serialize(self, generation: Generation) -> GenerationView:
        url = self.generation_url(generation.id)
        request, error, now = generation.request, generation.error, datetime.now(UTC)
        return GenerationView(
            id=generation.id,
            status=generation.status,
            stage=generation.stage,
            model=request.model,
            prompt=None if generation.is_prompt_erased else request.prompt,
            inputs=list(request.inputs),
            mask=request.mask,
            images=[self._image(generation, image, now) for image in shown_images(generation, now)],
            undelivered=[
                UndeliveredView(index=missing.index, code=missing.code) for missing in generation.undelivered
            ],
            cost=CostView(
                estimated=request.price_credits,
                reserved=generation.held_credits,
                charged=generation.charged_credits,
                refunded=generation.refunded_credits,
                cancel_after_submit=request.charging.cancel_after_submit,
                moderation=request.charging.moderation,
            ),
            error=_serialize_error(error, generation.charged_credits) if error is not None else None,
            metadata=dict(request.metadata),
            created_at=generation.created_at,
            queued_at=generation.queued_at,
            processing_at=generation.processing_at,
            finished_at=generation.finished_at,
            deleted_at=generation.deleted_at,
            images_erased_at=generation.images_erased_at,
            images_expire_at=generation.images_expire_at,
            canceled_by=generation.canceled_by,
            **_serialize_controls(generation),
            batch_id=generation.batch_id,
            urls=UrlsView(self=url, cancel=f"{url}/cancel", events=f"{url}/events", images=f"{url}/images"),
            routing=serialize_routing(generation),
            submit_unknown=self.submit_decisions.serialize(generation),
            temporal_ui=f"{self.temporal_ui}/{generation.id}" if self.temporal_ui else None,
        )

    def generation_url(self, generation_id: str) -> str:
        return f"{self.public_url}/v1/generations/{generation_id}"

    def _image(self, generation: Generation, image: Image, now: datetime) -> ImageView:
        expires_at = image_link_expiry(now, self.image_link_lifetime)
        if generation.images_expire_at is not None:
            expires_at = min(expires_at, ceil(generation.images_expire_at.timestamp()))
        signature = image_signature(self.keyring, generation.id, image.index, expires_at)
        return ImageView(
            index=image.index,
            url=f"{self.generation_url(generation.id)}/images/{image.index}?signature={signature}",
            width=image.width,
            height=image.height,
            content_type=image.content_type,
            size_bytes=image.size_bytes,
            sha256=image.sha256,
            source_sha256=image.source_sha256,
        )


def shown_images(generation: Generation, now: datetime) -> tuple[Image, ...]:
    """Return the images that can still be had."""
    return generation.images if generation.has_images_at(now) else ()


def _serialize_controls(generation: Generation) -> dict[str, Any]:
    controls = generation.request.controls
    return {
        "cancel_at": controls.cancel_at(generation.created_at),
        "start_by": controls.start_by(generation.created_at),
        "priority": controls.priority.name.lower(),
        "retry_of": controls.retry_of,
    }


def _serialize_error(error: GenerationError, charged_credits: int) -> ErrorView:
    return ErrorView(
        code=error.code,
        message=error.message,
        stage=error.stage,
        retryable=error.retryable,
        charged=charged_credits > 0,
    )


def serialize_position(position: QueuePosition) -> QueueView:
    return QueueView(
        since=position.since,
        ahead=position.ahead,
        is_exact=position.is_exact,
        reason=position.pushback_code or "no_free_slot",
        retry_in_seconds=position.pause_seconds,
    )


def serialize_model(catalog: Catalog, model: Model) -> ModelView:
    timing = model.timing
    return ModelView(
        id=model.id,
        owned_by=model.provider,
        title=model.title,
        kind=model.kinds[0],
        kinds=list(model.kinds),
        provider=model.provider,
        available=catalog.is_available(model),
        parameters={name: parameter.schema for name, parameter in model.parameters.items()},
        inputs=InputLimitsView(**asdict(model.inputs)) if model.inputs is not None else None,
        price=PriceView(**asdict(model.price)),
        typical_seconds=model.typical_seconds,
        max_seconds=timing.submit_timeout_seconds + timing.deadline_seconds,
        webhook=model.webhook,
        fallback=model.fallback,
        cancel_after_submit=model.charging.cancel_after_submit,
        moderation=model.charging.moderation,
    )


def serialize_file(file: InputFile) -> FileView:
    moments = {"created_at": file.created_at, "expires_at": file.expires_at}
    view = FileView(id=file.id, purpose=file.purpose, **asdict(file.facts), **moments)
    if file.purpose is not FilePurpose.IMAGE:
        view.width = view.height = None
    return view
