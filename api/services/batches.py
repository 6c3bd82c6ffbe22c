"""Accepts batches and cancels: the row first, then Temporal, which may be away.

The reconciler relays then.
"""

import asyncio
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from api import metrics
from api.services.admission import Admission
from api.services.batch_files import BatchFileService
from api.services.rate_limiter import RateLimiter
from domain.auth import Caller
from domain.batch_items import price_of
from domain.batches import (
    DEFAULT_CONCURRENCY,
    Batch,
    BatchDraft,
    BatchItemDraft,
    prices_by_key,
    workflow_input,
)
from domain.catalog import Catalog
from domain.errors import (
    FileNotFound,
    IdempotencyKeyReused,
    InvalidInput,
    MaxCostExceeded,
    PermanentError,
    TemporalUnavailable,
)
from domain.fingerprints import fingerprint, is_same_request
from domain.input_files import FilePurpose, InputFile
from domain.keyring import Keyring
from domain.model_schema import FieldErrors
from domain.ports import Batches, BatchWorkflows, InputFiles, UsedKeys
from domain.tenant import RatePolicy

# Of the errors of one request, how many are named.
MAX_ERRORS = 100
_SHOWN_ERRORS = 5
_NO_IMAGE = "no such image: the file is unknown, has expired, or is no image"
_NO_LINES = "no such file of a batch: it is unknown, has expired, or was uploaded without purpose=batch"
_log = logging.getLogger("darkroom.api")


@dataclass(frozen=True)
class BatchCommand:
    """A client's batch, not yet checked against the catalog: the prices of its items are 0.

    digest: of all that was asked. concurrency: None for the default.
    """

    digest: str
    items: Sequence[BatchItemDraft] = ()
    input_file_id: str | None = None
    endpoint: str | None = None
    concurrency: int | None = None
    max_cost: int | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)


def invalid_items(errors: FieldErrors) -> InvalidInput:
    """Return the refusal of a batch whose items are wrong, with the first of what is wrong with them."""
    named = tuple(errors[:MAX_ERRORS])
    texts = "; ".join(f"{name}: {limit}" for name, limit in named[:_SHOWN_ERRORS])
    more = "" if len(named) <= _SHOWN_ERRORS else f"; and {len(named) - _SHOWN_ERRORS} more"
    return InvalidInput(f"{texts}{more}", errors=named)


class BatchService:
    """Makes batches of a caller's own, and stops them. files: what their lines are read from."""

    def __init__(
        self,
        catalog: Catalog,
        batches: Batches,
        workflows: BatchWorkflows,
        used_keys: UsedKeys,
        input_files: InputFiles,
        files: BatchFileService,
        admission: Admission,
        rate_limiter: RateLimiter,
        keyring: Keyring,
    ) -> None:
        self._catalog = catalog
        self._workflows = workflows
        self._used_keys = used_keys
        self._input_files = input_files
        self._admission = admission
        self._rate_limiter = rate_limiter
        self._keyring = keyring
        self.rows = batches
        self.files = files

    async def create(self, caller: Caller, command: BatchCommand, key: str | None) -> tuple[Batch, bool]:
        """Store a batch; return it and whether it is new.

        Raises InvalidInput naming each item that is wrong, ModelNotFound, ModelUnavailable, MaxCostExceeded,
        InsufficientCredits, UnchargedCostExceeded, KeyBudgetExceeded, TooManyOpenBatches,
        IdempotencyKeyReused, OutcomeUnknown; and, with a key, RateLimited.
        """
        batch, is_new = await self._find_earlier(caller, command, key), False
        if batch is None:
            try:
                batch, is_new = await self._create(caller, command, key)
            except PermanentError:
                # The first of two that came at once may have been accepted since, and used up what there was.
                batch = await self._find_earlier(caller, command, key)
                if batch is None:
                    raise
        # A repeat of a request whose start was lost may start it: an id starts once, however often asked.
        if not batch.status.is_terminal:
            await self._start(batch)
        return batch, is_new

    async def cancel(self, tenant_id: str, batch_id: str) -> Batch:
        """Raises BatchNotFound, TooLateToCancel."""
        batch = await self.rows.record_batch_cancel(tenant_id, batch_id)
        if not batch.status.is_terminal:
            try:
                await self._workflows.signal_batch_cancel(batch_id)
            except TemporalUnavailable:
                metrics.deferred.labels("cancel").inc()
                _log.warning("Temporal is away; the cancel of %s is relayed later", batch_id)
        return batch

    async def _find_earlier(self, caller: Caller, command: BatchCommand, key: str | None) -> Batch | None:
        found = await self.rows.find_batch_by_key(caller.tenant_id, key) if key is not None else None
        if found is None:
            return None
        batch, stored = found
        if not is_same_request(self._keyring, stored, command.digest):
            self._rate_limiter.take(caller, RatePolicy.CREATE)
            raise IdempotencyKeyReused
        return batch

    async def _create(self, caller: Caller, command: BatchCommand, key: str | None) -> tuple[Batch, bool]:
        if key is not None:
            self._rate_limiter.take(caller, RatePolicy.CREATE)
        draft = await self._draft(caller, command)
        limits, sealed = self._admission.limits_of(caller), fingerprint(self._keyring, command.digest)
        try:
            batch, is_new = await self.rows.create_batch(draft, key, sealed, max_open=limits.max_open_batches)
        except FileNotFound as error:
            raise InvalidInput(errors=(("input_file_id", _NO_LINES),)) from error
        if not is_new:
            batch = await self._find_earlier(caller, command, key) or batch
        return batch, is_new

    async def _draft(self, caller: Caller, command: BatchCommand) -> BatchDraft:
        max_concurrency = self._admission.limits_of(caller).max_batch_concurrency
        if command.concurrency is not None and command.concurrency > max_concurrency:
            raise InvalidInput(errors=(("concurrency", f"1 to {max_concurrency}"),))
        items: Sequence[BatchItemDraft] = ()
        if command.input_file_id is None:
            items = await asyncio.to_thread(priced, command.items, self._catalog)
            await self._check_images(caller.tenant_id, items)
        else:
            await self._check_lines(caller.tenant_id, command.input_file_id)
        draft = BatchDraft(
            caller.tenant_id,
            caller.key_id,
            command.concurrency or max(1, min(DEFAULT_CONCURRENCY, max_concurrency)),
            command.metadata,
            command.max_cost,
            items,
            command.input_file_id,
            command.endpoint,
        )
        cost_credits = await self._cost_of(draft)
        if command.max_cost is not None and cost_credits > command.max_cost:
            raise MaxCostExceeded(f"it costs {cost_credits} credits, and max_cost is {command.max_cost}")
        # Of a file the price is not known yet; a tenant that may have nothing made is refused all the same.
        await self._admission.admit_batch(caller, cost_credits)
        return draft

    async def _cost_of(self, draft: BatchDraft) -> int:
        """Return the price of the items that make a generation: not of those whose key has made one."""
        by_key = prices_by_key(draft.items)
        used = await self._used_keys.find_used_keys(draft.tenant_id, by_key)
        return draft.price_credits - sum(by_key[key] for key in used)

    async def _check_lines(self, tenant_id: str, file_id: str) -> None:
        found = await self._input_files.find_files_of(tenant_id, [file_id])
        if file_id not in found or found[file_id].purpose is not FilePurpose.BATCH:
            raise InvalidInput(errors=(("input_file_id", _NO_LINES),))

    async def _check_images(self, tenant_id: str, items: Sequence[BatchItemDraft]) -> None:
        """Check the images of all items by one query."""
        ids = {file_id for item in items for file_id in _images_of(item)}
        if not ids:
            return
        found = await self._input_files.find_files_of(tenant_id, ids)
        images = {file_id: file for file_id, file in found.items() if file.purpose is FilePurpose.IMAGE}
        if errors := await asyncio.to_thread(_image_errors, items, images, self._catalog):
            raise invalid_items(errors)

    async def _start(self, batch: Batch) -> None:
        try:
            await self._workflows.start_batch(workflow_input(batch))
        except TemporalUnavailable:
            metrics.deferred.labels("start").inc()
            _log.warning("Temporal is away; %s starts later", batch.id)
        except Exception:  # noqa: BLE001 - the batch exists, and its client must learn its id
            metrics.deferred.labels("start").inc()
            _log.exception("%s could not be started; the reconciler tries again", batch.id)


def priced(items: Sequence[BatchItemDraft], catalog: Catalog) -> Sequence[BatchItemDraft]:
    """Check items against their models, and return them with their prices. Raises InvalidInput."""
    errors: FieldErrors = []
    found = []
    for item in items:
        try:
            found.append(replace(item, price_credits=price_of(item.request, catalog)))
        except InvalidInput as error:
            errors += [(f"items.{item.index}.{name}", limit) for name, limit in error.errors]
        except MaxCostExceeded as error:
            errors.append((f"items.{item.index}.max_cost", str(error)))
        except PermanentError as error:  # there is no such model, or it is off
            errors.append((f"items.{item.index}.model", error.message))
        if len(errors) >= MAX_ERRORS:
            break
    if errors:
        raise invalid_items(errors)
    return found


def _images_of(item: BatchItemDraft) -> tuple[str, ...]:
    request = item.request
    return request.inputs if request.mask is None else (*request.inputs, request.mask)


def _image_errors(
    items: Sequence[BatchItemDraft], images: Mapping[str, InputFile], catalog: Catalog
) -> FieldErrors:
    errors: FieldErrors = []
    for item in items:
        request, limits = item.request, catalog.models[item.request.model].inputs
        named = {f"inputs.{index}": file_id for index, file_id in enumerate(request.inputs)}
        named |= {"mask": request.mask} if request.mask is not None else {}
        wrong = [(name, _NO_IMAGE) for name, file_id in named.items() if file_id not in images]
        if not wrong and named and limits is not None:
            mask = images[request.mask] if request.mask is not None else None
            wrong = limits.file_errors([images[file_id] for file_id in request.inputs], mask)
        errors += [(f"items.{item.index}.{name}", limit) for name, limit in wrong]
        if len(errors) >= MAX_ERRORS:
            break
    return errors
