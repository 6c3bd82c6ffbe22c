"""The reconciler's run, started by a Temporal Schedule."""

from temporalio import workflow

from activities.reconcile import ReconcilePlan
from domain import temporal_names
from workflows import steps


@workflow.defn(name=temporal_names.RECONCILE_WORKFLOW)
class ReconcileWorkflow:
    """One pass per run; the next run looks again, so a failed one needs no compensation."""

    @workflow.run
    async def run(self, plan: ReconcilePlan) -> dict[str, int]:
        return await steps.reconcile(plan)
