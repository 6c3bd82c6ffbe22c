"""The three empty steps of the baseline, and the names of its queues."""

from collections.abc import Callable

from temporalio import activity

WORKFLOWS_QUEUE = "baseline"
SUBMIT_QUEUE = "baseline-submit"
ASSETS_QUEUE = "baseline-assets"
# Darkroom's worker polls these two as well while nothing is on them.
IDLE_QUEUES = ("baseline-provider", "baseline-reconcile")


class BaselineSteps:
    """Empty steps, which only report a submit: the benchmark acts as the provider that responds to it.

    on_submit: called with the workflow's id.
    """

    def __init__(self, on_submit: Callable[[str], None]) -> None:
        self._on_submit = on_submit

    @activity.defn
    async def baseline_reserve(self, workflow_id: str) -> str:
        return workflow_id

    @activity.defn
    async def baseline_submit(self, workflow_id: str) -> str:
        self._on_submit(workflow_id)
        return workflow_id

    @activity.defn
    async def baseline_store(self, workflow_id: str) -> str:
        return workflow_id
