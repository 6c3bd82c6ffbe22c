"""Accepts generations, cancels and webhooks: the row first, then Temporal.

Temporal may be away: the reconciler relays later what was stored, so the client gets a success.
"""

import asyncio
import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from api import metrics
from api.services.admission import Admission
from api.services.input_files import InputFileService
from api.services.rate_limiter import RateLimiter
from domain.auth import Caller
from domain.catalog import Catalog
from domain.controls import Controls
from domain.errors import (
    FileNotFound,
    IdempotencyKeyInUse,
    IdempotencyKeyReused,
    InvalidInput,
    MaxCostExceeded,
    PermanentError,
    TemporalUnavailable,
)
from domain.fingerprints import fingerprint, is_same_request
from domain.generation import Generation, GenerationRequest, Status
from domain.image_requests import ImageRequest
from domain.input_files import FILE_ID
from domain.keyring import Keyring
from domain.ports import Generations, Inbox, WebhookReader, WorkflowClient
from domain.provider import AttemptRef
from domain.request_digest import generation_digest
from domain.tenant import RatePolicy

_log = logging.getLogger("darkroom.api")


@dataclass(frozen=True)
class GenerationCommand:
    """A client's request, not yet checked against the model.

    inputs, mask: file ids, https URLs, data URIs, or names of uploads. uploads: images that came in the body,
    by names with the hashes of their bytes. refusal: why nothing new may come of it, though a repeat of an
    accepted one is answered. max_cost: The highest price that the client accepts, in credits. image_request:
    whose client waits for it, where it sent no key.
    """

    model: str
    parameters: Mapping[str, Any]
    metadata: Mapping[str, str]
    inputs: tuple[str, ...] = ()
    mask: str | None = None
    controls: Controls = field(default_factory=Controls)
    refusal: PermanentError | None = None
    max_cost: int | None = None
    uploads: Mapping[str, Path] = field(default_factory=dict)
    image_request: ImageRequest | None = None

    @property
    def sources(self) -> tuple[str, ...]:
        """Return all its images: inputs, and the mask."""
        return self.inputs if self.mask is None else (*self.inputs, self.mask)

    @property
    def has_new_files(self) -> bool:
        """Return whether images have to be fetched or stored before it can be accepted."""
        return any(not FILE_ID.fullmatch(source) for source in self.sources)

    def digest(self) -> str:
        """Return a hash of the request's meaning, not of its bytes."""
        return generation_digest(
            self.model,
            self.parameters,
            self.metadata,
            self.inputs,
            self.mask,
            self.controls,
            self.max_cost,
        )


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
        keyring: Keyring,
    ) -> None:
        self._catalog = catalog
        self._generations = generations
        self._inputs = inputs
        self._inbox = inbox
        self._workflows = workflows
        self._admission = admission
        self._rate_limiter = rate_limiter
        self._keyring = keyring
        # Tenants and keys of requests whose images are being fetched, before there is a row.
        self._accepting: set[tuple[str, str]] = set()

    async def accept(
        self, caller: Caller, command: GenerationCommand, key: str | None
    ) -> tuple[Generation, bool]:
        """Store a generation; return it and whether it is new.

        Raises ModelNotFound, ModelUnavailable, InvalidInput, MaxCostExceeded, IdempotencyKeyReused,
        IdempotencyKeyInUse, OutcomeUnknown; what Admission raises; and, with a key, RateLimited: without one,
        the request was taken from the allowance before its body.
        """
        # Looked up first: a repeat is answered whatever the limits say, and must not store its images again.
        earlier = await self.find_earlier(caller, key, command)
        generation, is_new = earlier, False
        if generation is None:
            try:
                generation, is_new = await self._create(caller, command, key)
            except PermanentError:
                # The first of two that came at once may have been accepted since, and used up what there was.
                generation = await self.find_earlier(caller, key, command)
                if generation is None:
                    raise
        if is_new:
            metrics.accepted.labels(generation.request.model).inc()
        # A repeat of a request whose start was lost may start it: an id starts once, however often asked.
        if generation.status is Status.CREATED:
            await self._start(generation)
        return generation, is_new

    async def find_earlier(
        self, caller: Caller, key: str | None, command: GenerationCommand
    ) -> Generation | None:
        """Return what an Idempotency-Key was used for, on whatever route. Raises IdempotencyKeyReused."""
        found = await self._generations.find_by_key(caller.tenant_id, key) if key is not None else None
        if found is None:
            return None
        generation, stored = found
        if not is_same_request(self._keyring, stored, command.digest()):
            self._rate_limiter.take(caller, RatePolicy.CREATE)
            raise IdempotencyKeyReused
        return generation

    async def _create(
        self, caller: Caller, command: GenerationCommand, key: str | None
    ) -> tuple[Generation, bool]:
        if key is not None:
            self._rate_limiter.take(caller, RatePolicy.CREATE)
        with self._claimed(caller, command, key):
            request = await self._build_request(caller, command)
        sealed = fingerprint(self._keyring, command.digest())
        try:
            generation, is_new = await self._generations.create(
                caller.tenant_id, request, key, sealed, command.image_request
            )
        except FileNotFound as error:
            raise InvalidInput(errors=(("inputs", "a file was deleted meanwhile"),)) from error
        if not is_new:
            generation = await self.find_earlier(caller, key, command) or generation
        return generation, is_new

    @contextmanager
    def _claimed(self, caller: Caller, command: GenerationCommand, key: str | None) -> Iterator[None]:
        """Let one request with a key fetch its images at a time. Raises IdempotencyKeyInUse to a second.

        Between processes two may: the row of the first then counts, and the other gets that.
        """
        if key is None or not command.has_new_files:
            yield
            return
        claim = (caller.tenant_id, key)
        if claim in self._accepting:
            raise IdempotencyKeyInUse
        self._accepting.add(claim)
        try:
            yield
        finally:
            self._accepting.discard(claim)

    async def _build_request(self, caller: Caller, command: GenerationCommand) -> GenerationRequest:
        if command.refusal is not None:
            raise command.refusal
        model = self._catalog.get_available_model(command.model)
        has_mask = command.mask is not None
        model.validate(command.parameters, command.metadata, len(command.inputs), mask=has_mask)
        # Before its images are fetched and stored.
        price_credits = model.price_of(command.parameters)
        if command.max_cost is not None and price_credits > command.max_cost:
            raise MaxCostExceeded(f"it costs {price_credits} credits, and max_cost is {command.max_cost}")
        await self._admission.admit_generation(caller, price_credits)
        if new_files := sum(not FILE_ID.fullmatch(source) for source in command.sources):
            await self._admission.admit_files(caller, new_files)
        files, mask = await self._inputs.resolve(
            caller.tenant_id, command.inputs, command.mask, command.uploads
        )
        request = self._catalog.build_request(model.id, command.parameters, command.metadata, files, mask)
        return replace(request, controls=replace(command.controls, api_key_id=caller.key_id))

    async def _start(self, generation: Generation) -> None:
        request = generation.request
        job = self._catalog.workflow_input(
            generation.id, generation.tenant_id, request, generation.created_at
        )
        model = self._catalog.models.get(request.model)
        try:
            await self._workflows.start_workflow(job, model.title if model is not None else request.model)
        except TemporalUnavailable:
            metrics.deferred.labels("start").inc()
            _log.warning("Temporal is away; %s starts later", generation.id)
        except Exception:  # noqa: BLE001 - the job exists, and its client must learn its id
            metrics.deferred.labels("start").inc()
            _log.exception("%s could not be started; the reconciler tries again", generation.id)

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
