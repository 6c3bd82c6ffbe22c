"""Accepts generations, cancels and webhooks: the row first, then Temporal.

Temporal may be away: the reconciler relays later what was stored, so the client gets a success.
"""

import asyncio
import hashlib
import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from api import metrics
from api.services.admission import Admission
from api.services.input_files import FILE_ID, InputFileService
from api.services.rate_limiter import RateLimiter
from domain.auth import Caller
from domain.catalog import Catalog
from domain.errors import (
    FileNotFound,
    IdempotencyKeyReused,
    InvalidInput,
    PermanentError,
    TemporalUnavailable,
)
from domain.generation import Generation, GenerationRequest, Status
from domain.image_requests import ImageRequest
from domain.ports import Generations, Inbox, WebhookReader, WorkflowClient
from domain.provider import AttemptRef
from domain.tenant import RatePolicy

_log = logging.getLogger("darkroom.api")


@dataclass(frozen=True)
class GenerationCommand:
    """A client's request, not yet checked against the model.

    inputs, mask: file ids, https URLs, data URIs, or names of uploads.
    uploads: images that came in the body, by names with the hashes of their bytes.
    image_request: the client that waits for it, where it sent no key.
    """

    model: str
    parameters: Mapping[str, Any]
    metadata: Mapping[str, str]
    inputs: tuple[str, ...] = ()
    mask: str | None = None
    uploads: Mapping[str, Path] = field(default_factory=dict)
    image_request: ImageRequest | None = None

    @property
    def sources(self) -> tuple[str, ...]:
        """Return all its images: inputs, and the mask."""
        return self.inputs if self.mask is None else (*self.inputs, self.mask)

    def fingerprint(self) -> str:
        """Return a hash of the request's meaning, not of its bytes."""
        given = {name: value for name, value in self.parameters.items() if value is not None}
        if self.inputs:
            given["inputs"] = [_short_form(image) for image in self.inputs]
        if self.mask is not None:
            given["mask"] = _short_form(self.mask)
        canonical = json.dumps(
            [self.model, given, dict(self.metadata)], sort_keys=True, separators=(",", ":")
        )
        return hashlib.sha256(canonical.encode()).hexdigest()


class GenerationService:
    """Accepts what comes in from clients and providers."""

    def __init__(
        self,
        catalog: Catalog,
        generations: Generations,
        inputs: InputFileService,
        inbox: Inbox,
        workflows: WorkflowClient,
        admission: Admission,
        rate_limiter: RateLimiter,
    ) -> None:
        self._catalog = catalog
        self._generations = generations
        self._inputs = inputs
        self._inbox = inbox
        self._workflows = workflows
        self._admission = admission
        self._rate_limiter = rate_limiter

    async def accept(
        self, caller: Caller, command: GenerationCommand, key: str | None
    ) -> tuple[Generation, bool]:
        """Store a generation; return it and whether it is new.

        Raises ModelNotFound, ModelUnavailable, InvalidInput, IdempotencyKeyReused; what Admission raises;
        and, with a key, RateLimited: without one, the request was taken from the allowance before its body.
        """
        # Looked up first: a repeat is answered whatever the limits say, and must not store its images again.
        fingerprint = command.fingerprint()
        generation, is_new = await self._find_earlier(caller, key, fingerprint), False
        if generation is None:
            try:
                generation, is_new = await self._create(caller, command, key, fingerprint)
            except PermanentError:
                # The first of two that came at once may have been accepted since, and used up what there was.
                generation = await self._find_earlier(caller, key, fingerprint)
                if generation is None:
                    raise
        if is_new:
            metrics.accepted.labels(generation.request.model).inc()
        # A repeat of a request whose start was lost may start it: an id starts once, however often asked.
        if generation.status is Status.CREATED:
            await self._start(generation)
        return generation, is_new

    async def _create(
        self, caller: Caller, command: GenerationCommand, key: str | None, fingerprint: str
    ) -> tuple[Generation, bool]:
        if key is not None:
            self._rate_limiter.take(caller, RatePolicy.CREATE)
        request = await self._build_request(caller, command)
        try:
            return await self._generations.create(
                caller.tenant_id, request, key, fingerprint, command.image_request
            )
        except FileNotFound as error:
            raise InvalidInput(errors=(("inputs", "a file was deleted meanwhile"),)) from error

    async def _find_earlier(self, caller: Caller, key: str | None, fingerprint: str) -> Generation | None:
        found = await self._generations.find_by_key(caller.tenant_id, key) if key is not None else None
        if found is None:
            return None
        generation, earlier_fingerprint = found
        if earlier_fingerprint != fingerprint:
            self._rate_limiter.take(caller, RatePolicy.CREATE)
            raise IdempotencyKeyReused
        return generation

    async def _build_request(self, caller: Caller, command: GenerationCommand) -> GenerationRequest:
        model = self._catalog.get_available_model(command.model)
        has_mask = command.mask is not None
        model.validate(command.parameters, command.metadata, len(command.inputs), mask=has_mask)
        # Before its images are fetched and stored.
        await self._admission.admit_generation(caller, model.price_of(command.parameters))
        if new_files := sum(not FILE_ID.fullmatch(source) for source in command.sources):
            await self._admission.admit_files(caller, new_files)
        files, mask = await self._inputs.resolve(
            caller.tenant_id, command.inputs, command.mask, command.uploads
        )
        return self._catalog.build_request(model.id, command.parameters, command.metadata, files, mask)

    async def _start(self, generation: Generation) -> None:
        request = generation.request
        job = self._catalog.workflow_input(generation.id, generation.tenant_id, request)
        model = self._catalog.models.get(request.model)
        try:
            await self._workflows.start_workflow(job, model.title if model is not None else request.model)
        except TemporalUnavailable:
            metrics.deferred.labels("start").inc()
            _log.warning("Temporal is away; %s starts later", generation.id)

    async def cancel(self, tenant_id: str, generation_id: str) -> Generation:
        """Raises GenerationNotFound, TooLateToCancel."""
        generation = await self._generations.record_cancel_request(tenant_id, generation_id)
        if not generation.status.is_terminal:
            try:
                await self._workflows.signal_cancel(generation_id)
            except TemporalUnavailable:
                metrics.deferred.labels("cancel").inc()
                _log.warning("Temporal is away; the cancel of %s is relayed later", generation_id)
        return generation

    async def accept_webhook(
        self,
        provider: str,
        attempt: AttemptRef,
        reader: WebhookReader,
        headers: Mapping[str, str],
        body: bytes,
    ) -> None:
        """Store a webhook, then signal its workflow. Raises SignatureInvalid, GenerationNotFound."""
        event = await reader.read_event(headers, body, attempt)
        receipt = await self._inbox.record_event(provider, attempt, event)
        if receipt.relayed:
            metrics.webhooks.labels(provider, "repeated").inc()
            return
        try:
            is_received = await self._workflows.signal_result(receipt.generation_id, receipt.signal)
        except TemporalUnavailable:
            metrics.webhooks.labels(provider, "deferred").inc()
            return
        metrics.webhooks.labels(provider, "relayed" if is_received else "late").inc()
        # Shielded: the provider may close the connection now, but the signal was sent.
        await asyncio.shield(self._inbox.mark_relayed(receipt.signal.inbox_id))


def _short_form(image: str) -> str:
    """Return a data URI as its hash, anything else as it is."""
    return f"data:{hashlib.sha256(image.encode()).hexdigest()}" if image.startswith("data:") else image
