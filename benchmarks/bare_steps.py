"""The reference's four steps, which do nothing, and the names by which its parts find each other."""

from collections.abc import Callable

from temporalio import activity

WORKFLOWS_QUEUE = "bare"
SUBMIT_QUEUE = "bare-submit"
ASSETS_QUEUE = "bare-assets"
# Darkroom's worker polls these two as well while nothing is on them.
IDLE_QUEUES = ("bare-provider", "bare-reconcile")


class BareSteps:
    """Empty, but that a submit has to be seen: the bench plays the provider, who answers a submit.

    on_submit: told the workflow's id.
    """

    def __init__(self, on_submit: Callable[[str], None]) -> None:
        self._on_submit = on_submit

    @activity.defn
    async def bare_reserve(self, workflow_id: str) -> str:
        return workflow_id

    @activity.defn
    async def bare_submit(self, workflow_id: str) -> str:
        self._on_submit(workflow_id)
        return workflow_id

    @activity.defn
    async def bare_store(self, workflow_id: str) -> str:
        return workflow_id

    @activity.defn
    async def bare_settle(self, workflow_id: str) -> str:
        return workflow_id
