"""Accepting generations, cancels and webhooks: the row first, then the word to Temporal.

Temporal may be away. What was written is relayed later by the reconciler, so the client is told yes.
"""

import asyncio
import hashlib
import json
import logging
from collections.abc import Mapping
from typing import Any

from api import metrics
from domain.catalogue import Catalogue
from domain.errors import TemporalUnavailable
from domain.generation import Generation, GenerationInput, Status
from domain.ports import Generations, Inbox, Runs, WebhookReader
from domain.provider import AttemptRef

_log = logging.getLogger("darkroom.api")


class Intake:
    """What comes in from clients and providers."""

    def __init__(self, catalogue: Catalogue, generations: Generations, inbox: Inbox, runs: Runs) -> None:
        self._catalogue = catalogue
        self._generations = generations
        self._inbox = inbox
        self._runs = runs

    async def accept(
        self,
        tenant_id: str,
        model_id: str,
        wanted: Mapping[str, Any],
        metadata: Mapping[str, str],
        key: str | None,
    ) -> tuple[Generation, bool]:
        """A stored generation, and whether it is new.

        Raises ModelNotFound, InvalidInput, IdempotencyKeyReused.
        """
        model = self._catalogue.model(model_id)
        request = model.request(wanted, metadata)
        fingerprint = _fingerprint(model_id, wanted, metadata)
        generation, is_new = await self._generations.create(tenant_id, request, key, fingerprint)
        if is_new:
            metrics.accepted.labels(model_id).inc()
        # A repeat of a request whose start was lost may start it: an id starts once, however often asked.
        if generation.status is Status.CREATED:
            job = GenerationInput(generation.id, tenant_id, model.id, model.provider, model.waits)
            try:
                await self._runs.start(job, model.title)
            except TemporalUnavailable:
                metrics.deferred.labels("start").inc()
                _log.warning("Temporal is away; %s starts later", generation.id)
        return generation, is_new

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
        event = await reader.read(headers, body)
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


def _fingerprint(model_id: str, wanted: Mapping[str, Any], metadata: Mapping[str, str]) -> str:
    """What makes two requests the same: their meaning, not their bytes."""
    given = {name: value for name, value in wanted.items() if value is not None}
    canonical = json.dumps([model_id, given, dict(metadata)], sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()
