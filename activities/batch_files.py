"""Checks the file of a batch: every line first, then the price of all, before anything is made of it."""

import asyncio

from activities.batch_lines import FileLines
from activities.metrics import count_batch
from domain.batch_runs import BatchFile
from domain.batches import LineParser, prices_by_key
from domain.errors import FileNotFound, InsufficientCredits, InvalidInput, KeyBudgetExceeded, MaxCostExceeded
from domain.ports import BatchFiles, KeyUsages, ObjectStore, TenantUsages, UsedKeys

# So many lines are read by a thread, and stored in one transaction: of 64 KB each, they stop the event loop
# for some tens of milliseconds.
_CHUNK_LINES = 100


class BatchFileChecker:
    """Stores the items of a file, or refuses it as a whole: then none is left, and nothing is charged."""

    def __init__(
        self,
        files: BatchFiles,
        store: ObjectStore,
        usages: TenantUsages,
        key_usages: KeyUsages,
        used_keys: UsedKeys,
        parse: LineParser,
    ) -> None:
        self._files = files
        self._store = store
        self._usages = usages
        self._key_usages = key_usages
        self._used_keys = used_keys
        self._parse = parse

    async def check(self, batch_id: str) -> None:
        """Begin at the first line, also where another run had stored some: these stay as they are."""
        try:
            file = await self._files.get_file_to_check(batch_id)
        except FileNotFound:
            await self._refuse(batch_id, FileNotFound.code)
            return
        if file is None:
            return
        async with self._store.open_object(file.key) as path:
            with await asyncio.to_thread(path.open, "rb") as opened:
                lines = FileLines(opened, file.endpoint, self._parse, file.signs_webhooks)
                paid_credits = await self._store_items(batch_id, file, lines)
        if paid_credits is None:
            return
        if lines.error_count:
            await self._refuse(batch_id, InvalidInput.code, lines)
        elif (code := await self._price_refusal(file, paid_credits)) is not None:
            await self._refuse(batch_id, code, price_credits=paid_credits)
        else:
            await self._files.accept_file(batch_id, lines.price_credits)

    async def _store_items(self, batch_id: str, file: BatchFile, lines: FileLines) -> int | None:
        """Read all lines; store items until one is wrong. Return None if the batch is canceled meanwhile.

        Else what they will cost: nothing for those whose idempotency key has a generation already.
        """
        paid_credits = 0
        while not lines.is_over:
            items = await asyncio.to_thread(lines.next_items, _CHUNK_LINES)
            wanted = items if not lines.error_count else ()
            if not await self._files.add_items(batch_id, wanted):
                return None
            by_key = prices_by_key(wanted)
            used = await self._used_keys.find_used_keys(file.tenant_id, by_key)
            paid_credits += sum(item.price_credits for item in wanted) - sum(by_key[key] for key in used)
        return paid_credits

    async def _price_refusal(self, file: BatchFile, price_credits: int) -> str | None:
        """Return why the price of all items cannot be accepted, as a code."""
        if file.max_cost is not None and price_credits > file.max_cost:
            return MaxCostExceeded.code
        if (budget := file.monthly_budget_credits) is not None:
            spent = await self._key_usages.read_key_usage(file.tenant_id, file.api_key_id)
            if price_credits > budget - spent.month_credits:
                return KeyBudgetExceeded.code
        usage = await self._usages.read_usage(file.tenant_id, max_generations=0)
        return InsufficientCredits.code if price_credits > usage.available_credits else None

    async def _refuse(
        self, batch_id: str, code: str, lines: FileLines | None = None, *, price_credits: int = 0
    ) -> None:
        errors = lines.errors if lines is not None else ()
        count = lines.error_count if lines is not None else 0
        batch = await self._files.refuse_file(batch_id, code, errors, count, price_credits)
        if batch is not None:
            count_batch(batch)
