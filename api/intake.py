"""Accepting generations, cancels and webhooks: the row first, then the word to Temporal.

Temporal may be away. What was written is relayed later by the reconciler, so the client is told yes.
"""

import asyncio
import hashlib
import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from api import metrics
from api.inputs import InputImages
from domain.catalog import Catalog
from domain.errors import IdempotencyKeyReused, TemporalUnavailable
from domain.generation import Generation, GenerationRequest, Status
from domain.ports import Generations, Inbox, WebhookReader, WorkflowClient
from domain.provider import AttemptRef

_log = logging.getLogger("darkroom.api")


@dataclass(frozen=True)
class Wanted:
    """What a client asks for, in its own words: nothing of it is checked against the model yet.

    inputs, mask: file ids, https URLs or data URIs.
    """

    model: str
    parameters: Mapping[str, Any]
    metadata: Mapping[str, str]
    inputs: tuple[str, ...] = ()
    mask: str | None = None

    def fingerprint(self) -> str:
        """What makes two requests the same: their meaning, not their bytes."""
        given = {name: value for name, value in self.parameters.items() if value is not None}
        if self.inputs:
            given["inputs"] = [_short(image) for image in self.inputs]
        if self.mask is not None:
            given["mask"] = _short(self.mask)
        canonical = json.dumps(
            [self.model, given, dict(self.metadata)], sort_keys=True, separators=(",", ":")
        )
        return hashlib.sha256(canonical.encode()).hexdigest()


class Intake:
    """What comes in from clients and providers."""

    def __init__(
        self,
        catalog: Catalog,
        generations: Generations,
        inputs: InputImages,
        inbox: Inbox,
        runs: WorkflowClient,
    ) -> None:
        self._catalogue = catalog
        self._generations = generations
        self._inputs = inputs
        self._inbox = inbox
        self._runs = runs

    async def accept(self, tenant_id: str, wanted: Wanted, key: str | None) -> tuple[Generation, bool]:
        """A stored generation, and whether it is new.

        Raises ModelNotFound, ModelUnavailable, InvalidInput, IdempotencyKeyReused.
        """
        # Looked up before anything is fetched: a repeat must not bring the images in again.
        fingerprint = await asyncio.to_thread(wanted.fingerprint)  # data URIs may be megabytes
        generation = await self._earlier(tenant_id, key, fingerprint)
        is_new = False
        if generation is None:
            request = await self._request(tenant_id, wanted)
            generation, is_new = await self._generations.create(tenant_id, request, key, fingerprint)
        if is_new:
            metrics.accepted.labels(generation.request.model).inc()
        # A repeat of a request whose start was lost may start it: an id starts once, however often asked.
        if generation.status is Status.CREATED:
            await self._start(generation)
        return generation, is_new

    async def _earlier(self, tenant_id: str, key: str | None, fingerprint: str) -> Generation | None:
        found = await self._generations.find_by_key(tenant_id, key) if key is not None else None
        if found is None:
            return None
        generation, earlier_fingerprint = found
        if earlier_fingerprint != fingerprint:
            raise IdempotencyKeyReused
        return generation

    async def _request(self, tenant_id: str, wanted: Wanted) -> GenerationRequest:
        model = self._catalogue.open_model(wanted.model)
        has_mask = wanted.mask is not None
        model.check(wanted.parameters, wanted.metadata, len(wanted.inputs), mask=has_mask)
        files, mask = await self._inputs.gather(tenant_id, wanted.inputs, wanted.mask)
        return self._catalogue.request(model.id, wanted.parameters, wanted.metadata, files, mask)

    async def _start(self, generation: Generation) -> None:
        request = generation.request
        job = self._catalogue.workflow_input(generation.id, generation.tenant_id, request)
        model = self._catalogue.models.get(request.model)
        try:
            await self._runs.start(job, model.title if model is not None else request.model)
        except TemporalUnavailable:
            metrics.deferred.labels("start").inc()
            _log.warning("Temporal is away; %s starts later", generation.id)

    async def cancel(self, tenant_id: str, generation_id: str) -> Generation:
        """Raises GenerationNotFound, TooLateToCancel."""
        generation = await self._generations.request_cancel(tenant_id, generation_id)
        if not generation.status.is_terminal:
            try:
                await self._runs.request_cancel(generation_id)
            except TemporalUnavailable:
                metrics.deferred.labels("cancel").inc()
                _log.warning("Temporal is away; the cancel of %s is relayed later", generation_id)
        return generation

    async def receive(
        self,
        provider: str,
        attempt: AttemptRef,
        reader: WebhookReader,
        headers: Mapping[str, str],
        body: bytes,
    ) -> None:
        """Keep a webhook, then tell its workflow. Raises SignatureInvalid, GenerationNotFound."""
        event = await reader.read(headers, body, attempt)
        received = await self._inbox.receive(provider, attempt, event)
        if received.relayed:
            metrics.webhooks.labels(provider, "repeated").inc()
            return
        try:
            heard = await self._runs.report(received.generation_id, received.signal)
        except TemporalUnavailable:
            metrics.webhooks.labels(provider, "deferred").inc()
            return
        metrics.webhooks.labels(provider, "relayed" if heard else "late").inc()
        # Shielded: the provider may hang up now that its work is done, but the signal has been given.
        await asyncio.shield(self._inbox.mark_relayed(received.signal.inbox_id))


def _short(image: str) -> str:
    """A data URI by its hash; anything else as it is."""
    return f"data:{hashlib.sha256(image.encode()).hexdigest()}" if image.startswith("data:") else image
