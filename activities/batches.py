"""What the workflow of a batch calls: the check of its file, and pass after pass over its items."""

from temporalio import activity

from activities.batch_files import BatchFileChecker
from activities.batch_passes import BatchPasses
from domain.batch_runs import BatchReport


class BatchActivities:
    """Both may be repeated, time out and still run, or run twice at once: the rows decide."""

    def __init__(self, checker: BatchFileChecker, passes: BatchPasses) -> None:
        self._checker = checker
        self._passes = passes

    @activity.defn
    async def validate_batch(self, batch_id: str) -> None:
        """Check the file of a batch, if it has one that is not checked, and let the batch begin or fail."""
        await self._checker.check(batch_id)

    @activity.defn
    async def advance_batch(self, batch_id: str) -> BatchReport:
        """Begin items as others end, for some seconds; end the batch once all have ended."""
        return await self._passes.run_pass(batch_id)
