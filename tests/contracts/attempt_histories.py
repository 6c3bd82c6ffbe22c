"""Everything that can happen to a begun attempt, by whether it may be charged."""

from collections.abc import Awaitable, Callable
from decimal import Decimal

from domain.errors import ContentRejected, ProviderRefused
from domain.provider import AttemptRef, JobStatus, ProviderCost, ProviderJob, ProviderResult
from tests.contracts.events import FILES, event, failed
from tests.contracts.subjects import Subject
from tests.support.books import images

JOB = ProviderJob("job-1", {})
COST = ProviderCost(Decimal("0.25"), "billable_unit")
SUCCESS = ProviderResult(JobStatus.SUCCEEDED, files=FILES, cost=COST)
History = Callable[[Subject, AttemptRef], Awaitable[None]]


async def without_response(subject: Subject, attempt: AttemptRef) -> None:
    """Leave the submit without a response."""


async def unknown(subject: Subject, attempt: AttemptRef) -> None:
    await subject.attempts.record_unknown(attempt)


async def accepted(subject: Subject, attempt: AttemptRef) -> None:
    await subject.attempts.record_accepted(attempt, JOB)


async def polled_success(subject: Subject, attempt: AttemptRef) -> None:
    await subject.attempts.record_accepted(attempt, JOB)
    await subject.attempts.record_result(attempt, SUCCESS)


async def polled_charged_failure(subject: Subject, attempt: AttemptRef) -> None:
    await subject.attempts.record_accepted(attempt, JOB)
    await subject.attempts.record_result(attempt, failed(does_not_charge=False))


async def webhook_of_charged_failure(subject: Subject, attempt: AttemptRef) -> None:
    await subject.attempts.record_accepted(attempt, JOB)
    await record_webhook(subject, attempt, failed(does_not_charge=False))


async def sync_response(subject: Subject, attempt: AttemptRef) -> None:
    await subject.attempts.record_sync_result(attempt, "call-1", SUCCESS, images(attempt.generation_id))


async def webhook_after_not_sent(subject: Subject, attempt: AttemptRef) -> None:
    await subject.attempts.record_not_sent(attempt)
    await record_webhook(subject, attempt, SUCCESS)


async def webhook_after_rejected(subject: Subject, attempt: AttemptRef) -> None:
    await subject.attempts.record_rejected(attempt, ProviderRefused("no"))
    await record_webhook(subject, attempt, SUCCESS)


async def charged_after_uncharged_failure(subject: Subject, attempt: AttemptRef) -> None:
    await polled_uncharged_failure(subject, attempt)
    await record_webhook(subject, attempt, SUCCESS)


async def not_sent(subject: Subject, attempt: AttemptRef) -> None:
    await subject.attempts.record_not_sent(attempt)


async def rejected(subject: Subject, attempt: AttemptRef) -> None:
    await subject.attempts.record_rejected(attempt, ProviderRefused("no credit"))


async def refused_content(subject: Subject, attempt: AttemptRef) -> None:
    await subject.attempts.record_rejected(attempt, ContentRejected("not that"))


async def polled_uncharged_failure(subject: Subject, attempt: AttemptRef) -> None:
    await subject.attempts.record_accepted(attempt, JOB)
    await subject.attempts.record_result(attempt, failed(does_not_charge=True))


async def webhook_of_uncharged_failure(subject: Subject, attempt: AttemptRef) -> None:
    await subject.attempts.record_accepted(attempt, JOB)
    await record_webhook(subject, attempt, failed(does_not_charge=True))


async def webhook_of_uncharged_failure_without_response(subject: Subject, attempt: AttemptRef) -> None:
    await record_webhook(subject, attempt, failed(does_not_charge=True))


MAY_BE_CHARGED: tuple[History, ...] = (
    without_response,
    unknown,
    accepted,
    polled_success,
    polled_charged_failure,
    webhook_of_charged_failure,
    sync_response,
    webhook_after_not_sent,
    webhook_after_rejected,
    charged_after_uncharged_failure,
)
COST_NOTHING: tuple[History, ...] = (
    not_sent,
    rejected,
    refused_content,
    polled_uncharged_failure,
    webhook_of_uncharged_failure,
    webhook_of_uncharged_failure_without_response,
)


async def record_webhook(
    subject: Subject, attempt: AttemptRef, result: ProviderResult, job_id: str = "job-1"
) -> None:
    """Record an event as from a webhook of the attempt's own provider."""
    provider = "fal" if attempt.ordinal == 1 else "replicate"
    await subject.inbox.record_event(provider, attempt, event(result, job_id))
