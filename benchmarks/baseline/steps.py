"""The reference's four steps, which do nothing, and the names by which its parts find each other."""

from collections.abc import Callable

from temporalio import activity

WORKFLOWS_QUEUE = "baseline"
SUBMIT_QUEUE = "baseline-submit"
ASSETS_QUEUE = "baseline-assets"
# Darkroom's worker polls these two as well while nothing is on them.
IDLE_QUEUES = ("baseline-provider", "baseline-reconcile")


class BaselineSteps:
    """Empty, but that a submit has to be seen: the bench plays the provider, who answers a submit.

    on_submit: told the workflow's id.
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

    @activity.defn
    async def baseline_settle(self, workflow_id: str) -> str:
        return workflow_id
