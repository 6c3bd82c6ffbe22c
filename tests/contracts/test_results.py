"""What is recorded of results and their cost, in time or late, by a poll, a webhook or a response."""

import asyncio
from dataclasses import replace
from decimal import Decimal

import pytest

from domain.attempt import AttemptState
from domain.errors import ContentRejected, ProviderFailed
from domain.generation import Status, TerminalState
from domain.moderation import ModeratedAt
from domain.ports import StoringStart
from domain.provider import (
    AttemptRef,
    JobStatus,
    PollResult,
    ProviderCost,
    ProviderEvent,
    ProviderJob,
    ProviderResult,
    SubmitResult,
    SubmitState,
)
from tests.contracts.events import FILES, attempt_of_a_hold, event, failed
from tests.contracts.subjects import Noted, Subject
from tests.support.books import images

COST = ProviderCost(Decimal("1.5"), "billable_unit")
OTHER_COST = ProviderCost(Decimal("40"), "token")
SUCCESS = ProviderResult(JobStatus.SUCCEEDED, files=FILES, cost=COST)
MODERATED = ProviderResult(
    JobStatus.FAILED, ContentRejected.code, moderated_at=ModeratedAt.OUTPUT, does_not_charge=True, cost=COST
)
JOB = ProviderJob("job-1", {})
FAILED = TerminalState(Status.FAILED, ProviderFailed.code)


@pytest.fixture
async def attempt(subject: Subject) -> AttemptRef:
    """Return a begun and accepted attempt."""
    attempt = await attempt_of_a_hold(subject)
    await subject.attempts.begin_submit(attempt)
    await subject.attempts.record_accepted(attempt, JOB)
    return attempt


async def receive(subject: Subject, attempt: AttemptRef, kept: ProviderEvent) -> None:
    await subject.inbox.record_event("fal", attempt, kept)


async def test_a_webhooks_result_is_recorded_with_the_attempt(subject: Subject, attempt: AttemptRef) -> None:
    await receive(subject, attempt, event(MODERATED))
    assert await subject.books.noted(attempt) == Noted(
        AttemptState.FAILED_UNCHARGED, ContentRejected.code, ModeratedAt.OUTPUT, cost=COST, is_late=False
    )
    assert (await subject.attempts.get_attempt(attempt)).result == PollResult(
        JobStatus.FAILED, ContentRejected.code, moderated_at=ModeratedAt.OUTPUT, is_free=True
    )


@pytest.mark.parametrize("verdict", [JobStatus.RUNNING, JobStatus.CHECK])
async def test_a_webhook_without_a_final_status_is_not_recorded(
    subject: Subject, attempt: AttemptRef, verdict: JobStatus
) -> None:
    await receive(subject, attempt, event(ProviderResult(verdict, cost=COST)))
    assert await subject.books.noted(attempt) == Noted(AttemptState.ACCEPTED, None, None, None, False)
    assert (await subject.attempts.get_attempt(attempt)).result is None


async def test_a_webhook_about_another_job_is_not_noted(subject: Subject, attempt: AttemptRef) -> None:
    await receive(subject, attempt, event(SUCCESS, "job-2"))
    assert (await subject.books.noted(attempt)).cost is None
    assert (await subject.attempts.get_attempt(attempt)).result is None


async def test_a_repeated_webhook_is_not_noted_again(subject: Subject, attempt: AttemptRef) -> None:
    kept = event(MODERATED)
    await receive(subject, attempt, kept)
    before = await subject.books.noted(attempt)
    await receive(subject, attempt, replace(kept, result=SUCCESS))
    assert await subject.books.noted(attempt) == before


async def test_a_webhook_never_overwrites_what_was_polled(subject: Subject, attempt: AttemptRef) -> None:
    await subject.attempts.record_result(attempt, replace(SUCCESS, cost=OTHER_COST))
    before = await subject.books.noted(attempt), await subject.attempts.get_attempt(attempt)
    await receive(subject, attempt, event(replace(MODERATED, does_not_charge=False)))
    assert (await subject.books.noted(attempt), await subject.attempts.get_attempt(attempt)) == before


async def test_a_poll_never_overwrites_what_a_webhook_reported(subject: Subject, attempt: AttemptRef) -> None:
    await receive(subject, attempt, event(replace(MODERATED, does_not_charge=False)))
    before = await subject.attempts.get_attempt(attempt)
    await subject.attempts.record_result(attempt, replace(SUCCESS, cost=OTHER_COST))
    noted = await subject.books.noted(attempt)
    assert await subject.attempts.get_attempt(attempt) == before
    assert (noted.code, noted.state, noted.is_late) == (MODERATED.code, AttemptState.FAILED, True)


async def test_of_a_webhook_and_a_poll_at_once_the_first_stands(subject: Subject) -> None:
    for _ in range(10):
        attempt = await attempt_of_a_hold(subject)
        await subject.attempts.begin_submit(attempt)
        await subject.attempts.record_accepted(attempt, JOB)
        await asyncio.gather(
            subject.attempts.record_result(attempt, replace(SUCCESS, cost=OTHER_COST)),
            receive(subject, attempt, event(replace(MODERATED, does_not_charge=False))),
        )
        noted = await subject.books.noted(attempt)
        assert (noted.state, noted.code) in (
            (AttemptState.SUCCEEDED, None),
            (AttemptState.FAILED, MODERATED.code),
        )


async def test_a_failure_that_was_called_free_may_turn_out_to_be_charged(
    subject: Subject, attempt: AttemptRef
) -> None:
    await subject.attempts.record_result(attempt, failed(does_not_charge=True))
    await receive(subject, attempt, event(SUCCESS))
    noted = await subject.books.noted(attempt)
    assert (noted.code, noted.state, noted.cost) == (ProviderFailed.code, AttemptState.FAILED, COST)


async def test_the_cost_at_the_submit_holds_until_the_result_has_another(subject: Subject) -> None:
    attempt = await attempt_of_a_hold(subject)
    await subject.attempts.begin_submit(attempt)
    await subject.attempts.record_accepted(attempt, replace(JOB, cost=OTHER_COST))
    await subject.attempts.record_result(attempt, replace(SUCCESS, cost=None))
    assert (await subject.books.noted(attempt)).cost == OTHER_COST
    await subject.attempts.record_result(attempt, SUCCESS)
    assert (await subject.books.noted(attempt)).cost == COST


@pytest.mark.parametrize("ending", [TerminalState(Status.CANCELED), FAILED], ids=["canceled", "refunded"])
@pytest.mark.parametrize("way", ["poll", "webhook"])
async def test_a_result_after_the_ending_is_late_with_its_cost(
    subject: Subject, attempt: AttemptRef, ending: TerminalState, way: str
) -> None:
    outcome = (await subject.ledger.refund(attempt.generation_id, ending)).outcome
    generation = await subject.books.read(attempt.generation_id)
    if way == "poll":
        await subject.attempts.record_result(attempt, SUCCESS)
    else:
        await receive(subject, attempt, event(SUCCESS))
    noted = await subject.books.noted(attempt)
    assert (noted.is_late, noted.cost) == (True, COST)
    assert await subject.books.read(attempt.generation_id) == generation
    assert await subject.assets.begin_storing(attempt, None) == StoringStart(outcome=outcome)


@pytest.mark.parametrize("way", ["poll", "webhook"])
async def test_a_result_that_is_repeated_after_the_images_were_paid_for_is_not_late(
    subject: Subject, attempt: AttemptRef, way: str
) -> None:
    await receive(subject, attempt, event(SUCCESS))
    await subject.assets.begin_storing(attempt, None)
    await subject.ledger.complete(attempt.generation_id, images(attempt.generation_id))
    if way == "poll":
        await subject.attempts.record_result(attempt, SUCCESS)
    else:
        await receive(subject, attempt, event(SUCCESS))
    assert not (await subject.books.noted(attempt)).is_late


async def test_a_response_in_time_is_the_status(subject: Subject) -> None:
    attempt = await attempt_of_a_hold(subject)
    await subject.attempts.begin_submit(attempt)
    delivered = images(attempt.generation_id)
    for _ in range(2):
        assert await subject.attempts.record_sync_result(
            attempt, "call-1", replace(SUCCESS, files=()), delivered
        )
    noted = await subject.books.noted(attempt)
    assert (noted.state, noted.cost, noted.is_late) == (AttemptState.SUCCEEDED, COST, False)
    verdict = PollResult(JobStatus.SUCCEEDED)
    record = await subject.attempts.get_attempt(attempt)
    assert (record.job, record.result) == (ProviderJob("call-1", {}), verdict)
    rerun = SubmitResult(SubmitState.ACCEPTED, job_id="call-1", verdict=verdict)
    assert (await subject.attempts.begin_submit(attempt)).stored == rerun


async def test_a_response_for_an_ended_generation_is_late(subject: Subject) -> None:
    attempt = await attempt_of_a_hold(subject)
    await subject.attempts.begin_submit(attempt)
    await subject.ledger.refund(attempt.generation_id, FAILED)
    generation = await subject.books.read(attempt.generation_id)
    delivered = images(attempt.generation_id)
    for _ in range(2):
        assert not await subject.attempts.record_sync_result(attempt, "call-1", SUCCESS, delivered)
    noted = await subject.books.noted(attempt)
    assert (noted.state, noted.cost, noted.is_late) == (AttemptState.SUCCEEDED, COST, True)
    assert await subject.books.read(attempt.generation_id) == generation
