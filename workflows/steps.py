"""Each activity as a workflow calls it: queue, time-outs and retry budget beside the name."""

from collections.abc import Callable, Coroutine
from datetime import timedelta
from typing import Any, TypeVar

from temporalio import workflow
from temporalio.common import RetryPolicy
from temporalio.exceptions import ActivityError, ApplicationError, FailureError

with workflow.unsafe.imports_passed_through():
    from activities.assets import AssetActivities
    from activities.credits import CreditActivities
    from activities.door import PlaceActivities
    from activities.moderation import ModerationActivities
    from activities.provider import ProviderActivities
    from activities.reconcile import ReconcileActivities, ReconcilePlan
    from domain.credits import Refund, Reservation
    from domain.generation import Ending, Outcome, Waits
    from domain.names import ASSETS_QUEUE, GENERATIONS_QUEUE, RECONCILE_QUEUE, provider_queue, submit_queue
    from domain.provider import AttemptRef, PollAnswer, StoreAnswer, StoreRequest, SubmitAnswer

T = TypeVar("T")

# Money must end up somewhere: a ledger step is tried for ever, first quickly, then without a budget.
_QUICKLY = RetryPolicy(initial_interval=timedelta(milliseconds=100), maximum_attempts=4)
_UNTIL_DONE = RetryPolicy(initial_interval=timedelta(seconds=1), maximum_interval=timedelta(seconds=15))
# Only what the provider provably did not take is tried again, so this budget costs nobody twice.
_UNTIL_TAKEN = RetryPolicy(
    initial_interval=timedelta(seconds=1), maximum_interval=timedelta(seconds=30), maximum_attempts=12
)
_WHILE_THE_ADDRESS_LIVES = RetryPolicy(
    initial_interval=timedelta(seconds=1), maximum_interval=timedelta(seconds=20), maximum_attempts=8
)
_A_FEW_TIMES = RetryPolicy(initial_interval=timedelta(seconds=1), maximum_attempts=3)
_ONCE = RetryPolicy(maximum_attempts=1)


async def reserve(generation_id: str) -> Reservation:
    return await _ledger(CreditActivities.reserve_credits, [generation_id], "Hold the price")


async def settle(generation_id: str) -> Outcome:
    return await _ledger(CreditActivities.settle_credits, [generation_id], "Charge for what is stored")


async def refund(generation_id: str, ending: Ending, provider: str) -> Refund:
    return await _ledger(
        CreditActivities.refund_credits, [generation_id, ending, provider], "Return the hold"
    )


async def ask_for_place(attempt: AttemptRef) -> bool:
    return await _ledger(PlaceActivities.ask_for_place, [attempt], "Ask for a place at the provider")


async def check_input(generation_id: str) -> bool:
    return await workflow.execute_activity_method(
        ModerationActivities.check_input,
        generation_id,
        task_queue=GENERATIONS_QUEUE,
        schedule_to_close_timeout=timedelta(minutes=5),
        start_to_close_timeout=timedelta(seconds=15),
        retry_policy=_UNTIL_DONE,
        summary="Look at the request before it costs anything",
    )


async def submit(provider: str, waits: Waits, attempt: AttemptRef, *, hurry: bool) -> SubmitAnswer:
    """Stands in line for as long as the plan allows; once begun, it is never cut.

    hurry: There is somewhere else to go, so a provider that takes nothing is not asked for long.
    """
    return await workflow.execute_activity_method(
        ProviderActivities.submit_job,
        attempt,
        task_queue=submit_queue(provider),
        schedule_to_start_timeout=timedelta(seconds=waits.queue_timeout_seconds),
        start_to_close_timeout=timedelta(seconds=waits.submit_timeout_seconds),
        # A call that lasts for minutes need not be missed within seconds.
        heartbeat_timeout=timedelta(seconds=max(5.0, waits.submit_timeout_seconds / 30)),
        retry_policy=_A_FEW_TIMES if hurry else _UNTIL_TAKEN,
        summary=f"Submit attempt {attempt.ordinal} to {provider}",
    )


async def fetch(provider: str, attempt: AttemptRef, number: int) -> PollAnswer:
    return await workflow.execute_activity_method(
        ProviderActivities.fetch_result,
        attempt,
        task_queue=provider_queue(provider),
        schedule_to_close_timeout=timedelta(seconds=90),
        start_to_close_timeout=timedelta(seconds=30),
        heartbeat_timeout=timedelta(seconds=5),
        retry_policy=_ONCE,  # the poll timer is the retry
        summary=f"Poll {number} of {provider}",
    )


async def cancel(provider: str, attempt: AttemptRef) -> bool:
    return await workflow.execute_activity_method(
        ProviderActivities.cancel_job,
        attempt,
        task_queue=provider_queue(provider),
        schedule_to_close_timeout=timedelta(seconds=30),
        start_to_close_timeout=timedelta(seconds=10),
        retry_policy=_A_FEW_TIMES,
        summary=f"Call {provider} off",
    )


async def store(wanted: StoreRequest) -> StoreAnswer:
    return await workflow.execute_activity_method(
        AssetActivities.store_assets,
        wanted,
        task_queue=ASSETS_QUEUE,
        start_to_close_timeout=timedelta(minutes=3),
        heartbeat_timeout=timedelta(seconds=5),
        retry_policy=_WHILE_THE_ADDRESS_LIVES,
        summary="Copy the images to our storage",
    )


async def reconcile(plan: ReconcilePlan) -> dict[str, int]:
    return await workflow.execute_activity_method(
        ReconcileActivities.reconcile,
        plan,
        task_queue=RECONCILE_QUEUE,
        schedule_to_close_timeout=timedelta(minutes=5),
        start_to_close_timeout=timedelta(minutes=2),
        heartbeat_timeout=timedelta(seconds=10),
        retry_policy=_A_FEW_TIMES,
        summary="Look for what was left behind",
    )


def behind(error: BaseException) -> BaseException | None:
    """What went wrong in a step. An ordinary activity's failure comes wrapped, a local one's bare."""
    return error.cause if isinstance(error, ActivityError) else error


async def _ledger(method: Callable[..., Coroutine[Any, Any, T]], arguments: list[Any], summary: str) -> T:
    """A local activity while it is quick; an ordinary one, without limit, when it is not.

    A local activity that retries for long holds its workflow task: queries wait and signals go unseen. An
    ordinary one waits on the server, and a re-run of either finds what the other has done.
    """
    quickly: Coroutine[Any, Any, T] = workflow.execute_local_activity_method(
        method,
        args=arguments,
        schedule_to_close_timeout=timedelta(seconds=3),
        start_to_close_timeout=timedelta(seconds=2),
        retry_policy=_QUICKLY,
        summary=summary,
    )
    try:
        return await quickly
    except FailureError as error:
        cause = behind(error)
        if isinstance(cause, ApplicationError) and cause.non_retryable:
            raise
    at_last: T = await workflow.execute_activity_method(
        method,
        args=arguments,
        task_queue=GENERATIONS_QUEUE,
        start_to_close_timeout=timedelta(seconds=15),
        retry_policy=_UNTIL_DONE,
        summary=f"{summary}, without hurry",
    )
    return at_last
