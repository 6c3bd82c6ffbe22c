"""Each activity as a workflow calls it: queue, timeouts and retry policy next to the name."""

from collections.abc import Callable, Coroutine
from datetime import timedelta
from typing import Any, TypeVar

from temporalio import workflow
from temporalio.common import RetryPolicy
from temporalio.exceptions import ActivityError, ApplicationError, FailureError

from activities.assets import AssetActivities
from activities.batches import BatchActivities
from activities.books import BookActivities
from activities.credits import CreditActivities
from activities.deliveries import DeliveryActivities
from activities.moderation import ModerationActivities
from activities.provider import ProviderActivities
from activities.provider_slots import SlotActivities
from activities.reconcile import ReconcileActivities, ReconcilePlan
from domain.batch_runs import BatchReport
from domain.books import BooksProgress
from domain.credits import Refund, Reservation
from domain.generation import Outcome, TerminalState, TimingPolicy
from domain.provider import AttemptRef, PollResult, StoreRequest, StoreResult, SubmitRequest, SubmitResult
from domain.slots import SlotRequest
from domain.temporal_names import (
    ASSETS_QUEUE,
    BATCH_FILES_QUEUE,
    BATCHES_QUEUE,
    DELIVERIES_QUEUE,
    GENERATIONS_QUEUE,
    RECONCILE_QUEUE,
    provider_queue,
    submit_queue,
)
from domain.webhooks import SendReport, SendRequest

T = TypeVar("T")

# Money must end up somewhere: a ledger step is retried without limit, first quickly as a local activity.
LOCAL_LEDGER_RETRY = RetryPolicy(initial_interval=timedelta(milliseconds=100), maximum_attempts=4)
UNLIMITED_RETRY = RetryPolicy(initial_interval=timedelta(seconds=1), maximum_interval=timedelta(seconds=15))
# For an outage of ours before the provider was asked. What it was asked is never repeated by Temporal: a run
# that finds a submit begun returns what is known of it.
SUBMIT_RETRY = RetryPolicy(
    initial_interval=timedelta(seconds=1), maximum_interval=timedelta(seconds=30), maximum_attempts=12
)
# The activity itself says when a result must be gone. The limit is for what it does not foresee.
DOWNLOAD_RETRY = RetryPolicy(initial_interval=timedelta(seconds=1), maximum_interval=timedelta(seconds=20))
MAX_STORING = timedelta(days=2)
# A dead worker is noticed by its heartbeats. Images wait for decoders, and the next try does all again.
STORE_SECONDS = 600
SHORT_RETRY = RetryPolicy(initial_interval=timedelta(seconds=1), maximum_attempts=3)
NO_RETRY = RetryPolicy(maximum_attempts=1)


async def reserve(generation_id: str, tenant_id: str) -> Reservation:
    return await _local_first(CreditActivities.reserve_credits, [generation_id, tenant_id], "Hold the price")


async def settle(generation_id: str) -> Outcome:
    return await _local_first(CreditActivities.settle_credits, [generation_id], "Charge for what is stored")


async def refund(generation_id: str, terminal_state: TerminalState, provider: str) -> Refund:
    return await _local_first(
        CreditActivities.refund_credits, [generation_id, terminal_state, provider], "Return the hold"
    )


async def request_slot(attempt: AttemptRef, left_because: str | None = None) -> bool:
    """Request a slot. left_because: for a second attempt, why the first provider was left."""
    wanted = SlotRequest(attempt.generation_id, attempt.ordinal, left_because)
    return await _local_first(SlotActivities.request_slot, [wanted], "Request a slot at the provider")


async def check_input(generation_id: str) -> bool:
    return await workflow.execute_activity_method(
        ModerationActivities.check_input,
        generation_id,
        task_queue=GENERATIONS_QUEUE,
        schedule_to_close_timeout=timedelta(minutes=5),
        start_to_close_timeout=timedelta(seconds=15),
        retry_policy=UNLIMITED_RETRY,
        summary="Check the request before it costs anything",
    )


async def submit(
    provider: str, timing: TimingPolicy, attempt: AttemptRef, *, queue_timeout: timedelta
) -> SubmitResult:
    """Wait for the queue's rate limit at most `queue_timeout`; once begun, the submit is never interrupted.

    A provider that takes nothing now is no failure: the result says so, and the slot was given back.
    """
    return await workflow.execute_activity_method(
        ProviderActivities.submit_job,
        SubmitRequest(attempt.generation_id, attempt.ordinal, gives_back_slot=True),
        task_queue=submit_queue(provider),
        schedule_to_start_timeout=queue_timeout,
        start_to_close_timeout=timedelta(seconds=timing.submit_timeout_seconds),
        # The longer a call may take, the later a lost one needs to be noticed.
        heartbeat_timeout=timedelta(seconds=max(5.0, timing.submit_timeout_seconds / 30)),
        retry_policy=SUBMIT_RETRY,
        summary=f"Submit attempt {attempt.ordinal} to {provider}",
    )


async def poll(provider: str, attempt: AttemptRef, number: int) -> PollResult:
    return await workflow.execute_activity_method(
        ProviderActivities.fetch_result,
        attempt,
        task_queue=provider_queue(provider),
        schedule_to_close_timeout=timedelta(seconds=90),
        start_to_close_timeout=timedelta(seconds=30),
        heartbeat_timeout=timedelta(seconds=5),
        retry_policy=NO_RETRY,  # the poll timer is the retry
        summary=f"Poll {number} of {provider}",
    )


async def cancel(provider: str, attempt: AttemptRef) -> bool:
    return await workflow.execute_activity_method(
        ProviderActivities.cancel_job,
        attempt,
        task_queue=provider_queue(provider),
        schedule_to_close_timeout=timedelta(seconds=30),
        start_to_close_timeout=timedelta(seconds=10),
        retry_policy=SHORT_RETRY,
        summary=f"Cancel the job at {provider}",
    )


async def store(wanted: StoreRequest) -> StoreResult:
    return await workflow.execute_activity_method(
        AssetActivities.store_assets,
        wanted,
        task_queue=ASSETS_QUEUE,
        schedule_to_close_timeout=MAX_STORING,
        start_to_close_timeout=timedelta(seconds=STORE_SECONDS),
        heartbeat_timeout=timedelta(seconds=5),
        retry_policy=DOWNLOAD_RETRY,
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
        retry_policy=SHORT_RETRY,
        summary="Repair what was left behind",
    )


async def check_books(progress: BooksProgress) -> BooksProgress:
    """Check the books of some tenants. However long one of them takes, a retry goes on where it was."""
    return await workflow.execute_activity_method(
        BookActivities.check_books,
        progress,
        task_queue=RECONCILE_QUEUE,
        start_to_close_timeout=timedelta(minutes=30),
        heartbeat_timeout=timedelta(seconds=30),
        retry_policy=UNLIMITED_RETRY,
        summary=f"Check the books after {progress.tenants} tenants",
    )


async def send_webhook(request: SendRequest) -> SendReport:
    """Send once. The retries are for outages of ours; those of the receiver are in the report."""
    return await workflow.execute_activity_method(
        DeliveryActivities.send_webhook,
        request,
        task_queue=DELIVERIES_QUEUE,
        start_to_close_timeout=timedelta(seconds=60),
        heartbeat_timeout=timedelta(seconds=10),
        retry_policy=UNLIMITED_RETRY,
        summary=f"Attempt {request.number}",
    )


async def validate_batch(batch_id: str) -> None:
    await workflow.execute_activity_method(
        BatchActivities.validate_batch,
        batch_id,
        task_queue=BATCH_FILES_QUEUE,
        start_to_close_timeout=timedelta(minutes=10),
        heartbeat_timeout=timedelta(seconds=15),
        retry_policy=UNLIMITED_RETRY,
        summary="Check what the batch asks for",
    )


async def advance_batch(batch_id: str) -> BatchReport:
    """Make one pass. What it has begun may take longer than the pass is meant to."""
    return await workflow.execute_activity_method(
        BatchActivities.advance_batch,
        batch_id,
        task_queue=BATCHES_QUEUE,
        start_to_close_timeout=timedelta(minutes=2),
        heartbeat_timeout=timedelta(seconds=10),
        retry_policy=UNLIMITED_RETRY,
        summary="Begin and end items",
    )


def cause_of(error: BaseException) -> BaseException | None:
    """Return what went wrong in a step. Only an ordinary activity's failure comes wrapped."""
    return error.cause if isinstance(error, ActivityError) else error


async def _local_first(
    method: Callable[..., Coroutine[Any, Any, T]], arguments: list[Any], summary: str
) -> T:
    """Run a local activity with a short budget, then the same method as an ordinary one without limit.

    A local activity that retries for long holds its workflow task: queries wait and signals go unseen. An
    ordinary one waits on the server, and a re-run of either finds what the other has done.
    """
    local: Coroutine[Any, Any, T] = workflow.execute_local_activity_method(
        method,
        args=arguments,
        schedule_to_close_timeout=timedelta(seconds=8),
        start_to_close_timeout=timedelta(seconds=5),
        retry_policy=LOCAL_LEDGER_RETRY,
        summary=summary,
    )
    try:
        return await local
    except FailureError as error:
        cause = cause_of(error)
        if isinstance(cause, ApplicationError) and cause.non_retryable:
            raise
    result: T = await workflow.execute_activity_method(
        method,
        args=arguments,
        task_queue=GENERATIONS_QUEUE,
        start_to_close_timeout=timedelta(seconds=15),
        retry_policy=UNLIMITED_RETRY,
        summary=f"{summary}, retried without limit",
    )
    return result
