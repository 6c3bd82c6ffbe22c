"""Makes the generation of one item, as the API makes one of a request."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from activities.metrics import count_items
from domain.batch_runs import BatchLook, WaitingItem
from domain.catalog import Catalog
from domain.errors import (
    FileNotFound,
    IdempotencyKeyReused,
    InvalidInput,
    ModelNotFound,
    ModelUnavailable,
    PermanentError,
)
from domain.fingerprints import fingerprint, is_same_request
from domain.generation import Generation, GenerationRequest
from domain.input_files import InputFile
from domain.keyring import Keyring
from domain.ports import BatchRuns, Generations, InputFiles

_MAX_TEXT_CHARACTERS = 500


@dataclass(frozen=True)
class Begun:
    """What became of a waiting item: its generation, if one was made; else whether it waits no more."""

    generation: Generation | None = None
    has_ended: bool = False


class ItemStarter:
    """An item that cannot be made fails with its own code, and the others go on."""

    def __init__(
        self,
        runs: BatchRuns,
        generations: Generations,
        files: InputFiles,
        catalog: Catalog,
        keyring: Keyring,
    ) -> None:
        self._runs = runs
        self._generations = generations
        self._files = files
        self._catalog = catalog
        self._keyring = keyring

    async def begin(self, batch_id: str, look: BatchLook, item: WaitingItem) -> Begun:
        """Make its generation, or attach the one that its key has, or end it; nothing if another run did."""
        if item.idempotency_key is not None:
            found = await self._generations.find_by_key(look.tenant_id, item.idempotency_key)
            if found is not None:
                return await self._attach(batch_id, item, *found)
        try:
            request = await self._request_of(look, item)
            sealed = fingerprint(self._keyring, item.request.digest())
            return Begun(await self._runs.begin_item(batch_id, item, request, sealed))
        except (ModelNotFound, ModelUnavailable, InvalidInput, FileNotFound) as error:
            return await self._fail(batch_id, item, error)

    async def _attach(self, batch_id: str, item: WaitingItem, found: Generation, stored: str) -> Begun:
        if not is_same_request(self._keyring, stored, item.request.digest()):
            return await self._fail(batch_id, item, IdempotencyKeyReused())
        is_attached = await self._runs.attach_item(batch_id, item.index, found.id)
        count_items("attached", int(is_attached))
        return Begun(has_ended=is_attached)

    async def _fail(self, batch_id: str, item: WaitingItem, error: PermanentError) -> Begun:
        """Say which field is wrong, in our own words."""
        fields = error.errors if isinstance(error, InvalidInput) else ()
        text = "; ".join(f"{field}: {limit}" for field, limit in fields) or error.message
        text = text[:_MAX_TEXT_CHARACTERS]
        has_failed = await self._runs.fail_item(batch_id, item.index, error.code, text)
        count_items("failed", int(has_failed))
        return Begun(has_ended=has_failed)

    async def _request_of(self, look: BatchLook, item: WaitingItem) -> GenerationRequest:
        """Build the request at the price that the batch was accepted with."""
        asked = item.request
        files = await self._files_of(look.tenant_id, asked.inputs)
        [mask] = await self._files_of(look.tenant_id, (asked.mask,)) if asked.mask is not None else [None]
        built = self._catalog.build_request(asked.model, asked.parameters, asked.metadata, files, mask)
        controls = replace(asked.controls, api_key_id=look.api_key_id)
        return replace(built, controls=controls, price_credits=item.price_credits)

    async def _files_of(self, tenant_id: str, ids: Sequence[str]) -> Sequence[InputFile]:
        return await self._files.use_files(tenant_id, ids) if ids else ()
