"""Batches whose workflow was never started, or is lost: it is started, and goes on where the rows stand."""

from collections.abc import Mapping, Sequence
from datetime import timedelta

from domain.batches import BatchInput
from domain.ports import BatchRuns, BatchWorkflows


class BatchRepairer:
    """A cancel that was not relayed needs no repair: the workflow reads it from the row, within seconds."""

    def __init__(self, runs: BatchRuns, workflows: BatchWorkflows) -> None:
        self._runs = runs
        self._workflows = workflows

    async def list_open(self, older_than: timedelta, limit: int) -> Sequence[BatchInput]:
        return await self._runs.list_open_batches(older_than, limit)

    async def repair(self, batch: BatchInput) -> Mapping[str, int]:
        state = await self._workflows.describe_batch(batch.batch_id)
        if state.running:
            return {}
        await self._workflows.start_batch(batch)
        return {"batch_restarted" if state.exists else "batch_started": 1}
