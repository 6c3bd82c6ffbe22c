"""The schedules that Temporal runs the service's own workflows by."""

from datetime import timedelta

from temporalio.client import (
    Client,
    Schedule,
    ScheduleActionStartWorkflow,
    ScheduleAlreadyRunningError,
    ScheduleIntervalSpec,
    ScheduleOverlapPolicy,
    SchedulePolicy,
    ScheduleSpec,
    ScheduleUpdate,
    ScheduleUpdateInput,
)

from activities.reconcile import ReconcilePlan
from domain import temporal_names
from domain.books import BooksProgress
from workflows.books import CheckBooksWorkflow
from workflows.reconcile import ReconcileWorkflow

_DAY = timedelta(days=1)
# When most clients of a day have gone, in the hours of most of them.
_CHECK_AT = timedelta(hours=3)


async def schedule_reconciler(client: Client, every: timedelta) -> None:
    """Create the schedule, or bring an existing one to this plan."""
    schedule = Schedule(
        action=ScheduleActionStartWorkflow(
            ReconcileWorkflow.run,
            ReconcilePlan(),
            id=temporal_names.RECONCILE_SCHEDULE,
            task_queue=temporal_names.RECONCILE_QUEUE,
            execution_timeout=timedelta(minutes=10),  # it holds no money, and the next run looks again
            static_summary="ReconcileQueries what no workflow can",
        ),
        spec=ScheduleSpec(intervals=[ScheduleIntervalSpec(every=every)]),
        policy=SchedulePolicy(overlap=ScheduleOverlapPolicy.SKIP, catchup_window=every),
    )
    await _create_or_update(client, temporal_names.RECONCILE_SCHEDULE, schedule)


async def schedule_book_check(client: Client) -> None:
    """Create the schedule of the daily check of the books, or bring an existing one to this plan."""
    schedule = Schedule(
        action=ScheduleActionStartWorkflow(
            CheckBooksWorkflow.run,
            BooksProgress(),
            id=temporal_names.CHECK_BOOKS_SCHEDULE,
            task_queue=temporal_names.RECONCILE_QUEUE,
            execution_timeout=_DAY,
            static_summary="Check that lots, accounts and entries agree",
        ),
        spec=ScheduleSpec(intervals=[ScheduleIntervalSpec(every=_DAY, offset=_CHECK_AT)]),
        policy=SchedulePolicy(overlap=ScheduleOverlapPolicy.SKIP, catchup_window=_DAY),
    )
    await _create_or_update(client, temporal_names.CHECK_BOOKS_SCHEDULE, schedule)


async def _create_or_update(client: Client, name: str, schedule: Schedule) -> None:
    try:
        await client.create_schedule(name, schedule)
    except ScheduleAlreadyRunningError:

        def keep_state(found: ScheduleUpdateInput) -> ScheduleUpdate:
            schedule.state = found.description.schedule.state  # an operator may have paused it
            return ScheduleUpdate(schedule)

        await client.get_schedule_handle(name).update(keep_state)
