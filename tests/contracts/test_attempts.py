"""What Attempts promise: one submit each, whatever is re-run."""

from decimal import Decimal

import pytest

from domain.attempt import AttemptState
from domain.credits import Refund
from domain.errors import (
    ContentRejected,
    GenerationNotFound,
    PermanentError,
    ProviderRefused,
    QueueTimedOut,
    SubmitUnknown,
)
from domain.generation import Stage, Status, TerminalState
from domain.moderation import ModeratedAt
from domain.ports import AttemptRecord
from domain.provider import (
    AttemptRef,
    JobStatus,
    PollResult,
    ProviderCost,
    ProviderJob,
    ProviderResult,
    Pushback,
    SubmitResult,
    SubmitState,
)
from tests.contracts.events import attempt_of_a_hold, succeeded
from tests.contracts.subjects import Subject
from tests.support.requests import NOW, new_id

JOB = ProviderJob("job-1", {"status": "https://queue.fal.run/job-1/status"})
ACCEPTED = SubmitResult(SubmitState.ACCEPTED, job_id="job-1")
FINISHED = SubmitResult(SubmitState.ACCEPTED, job_id="job-1", verdict=PollResult(JobStatus.SUCCEEDED))
UNKNOWN = SubmitResult(SubmitState.UNKNOWN)
CANCELED = TerminalState(Status.CANCELED)


@pytest.fixture
async def attempt(subject: Subject) -> AttemptRef:
    return await attempt_of_a_hold(subject)


async def stage(subject: Subject, attempt: AttemptRef) -> Stage:
    return (await subject.books.read(attempt.generation_id)).stage


async def test_only_the_first_begin_may_submit(subject: Subject, attempt: AttemptRef) -> None:
    first = (await subject.attempts.begin_submit(attempt)).request
    assert first is not None
    assert first == (await subject.books.read(attempt.generation_id)).request
    assert await stage(subject, attempt) is Stage.SUBMITTING
    assert (await subject.attempts.begin_submit(attempt)).stored == UNKNOWN
    assert await subject.attempts.record_unknown(attempt) == UNKNOWN
    assert await stage(subject, attempt) is Stage.SUBMIT_UNKNOWN
    assert await subject.attempts.get_attempt(attempt) == AttemptRecord(first, None, None, begun_at=NOW)


async def test_what_was_provably_not_sent_may_be_begun_again(subject: Subject, attempt: AttemptRef) -> None:
    await subject.attempts.begin_submit(attempt)
    await subject.attempts.record_not_sent(attempt)
    assert (await subject.attempts.begin_submit(attempt)).request is not None
    assert (await subject.attempts.begin_submit(attempt)).stored == UNKNOWN


async def test_a_rerun_gets_the_accepted_job(subject: Subject, attempt: AttemptRef) -> None:
    asked = (await subject.attempts.begin_submit(attempt)).request
    assert asked is not None
    await subject.attempts.record_accepted(attempt, JOB)
    assert await stage(subject, attempt) is Stage.GENERATING
    assert (await subject.attempts.begin_submit(attempt)).stored == ACCEPTED
    assert await subject.attempts.get_attempt(attempt) == AttemptRecord(asked, JOB, None, begun_at=NOW)


async def test_a_late_response_ends_the_pause(subject: Subject, attempt: AttemptRef) -> None:
    await subject.attempts.begin_submit(attempt)
    await subject.attempts.record_unknown(attempt)
    await subject.attempts.record_accepted(attempt, JOB)
    assert (await subject.attempts.begin_submit(attempt)).stored == ACCEPTED
    assert await stage(subject, attempt) is Stage.GENERATING


@pytest.mark.parametrize(
    ("error", "code", "at"),
    [
        (ProviderRefused("no credit"), ProviderRefused.code, None),
        (ContentRejected("not that", at=ModeratedAt.INPUT), ContentRejected.code, ModeratedAt.INPUT),
        (ContentRejected("not this", at=ModeratedAt.OUTPUT), ContentRejected.code, ModeratedAt.OUTPUT),
    ],
)
async def test_a_rerun_gets_the_rejection(
    subject: Subject, attempt: AttemptRef, error: PermanentError, code: str, at: ModeratedAt | None
) -> None:
    asked = (await subject.attempts.begin_submit(attempt)).request
    assert asked is not None
    await subject.attempts.record_rejected(attempt, error)
    rejected = SubmitResult(SubmitState.REJECTED, code=code, moderated_at=at)
    assert (await subject.attempts.begin_submit(attempt)).stored == rejected
    assert await subject.attempts.get_attempt(attempt) == AttemptRecord(asked, None, None, begun_at=NOW)
    noted = await subject.books.noted(attempt)
    assert (noted.state, noted.code, noted.moderated_at) == (AttemptState.REJECTED, code, at)


async def test_a_refusal_that_is_billed_is_a_charged_failure(subject: Subject, attempt: AttemptRef) -> None:
    await subject.attempts.begin_submit(attempt)
    error = ContentRejected("not this", at=ModeratedAt.OUTPUT)
    error.may_be_charged = True
    refused = await subject.attempts.record_rejected(attempt, error)
    failure = PollResult(JobStatus.FAILED, ContentRejected.code, moderated_at=ModeratedAt.OUTPUT)
    assert refused == SubmitResult(SubmitState.ACCEPTED, verdict=failure)
    assert (await subject.books.noted(attempt)).state is AttemptState.FAILED


async def test_a_call_that_is_over_is_a_charged_failure_to_look_at(
    subject: Subject, attempt: AttemptRef
) -> None:
    await subject.attempts.begin_submit(attempt)
    lost = await subject.attempts.record_lost(attempt, "openai: 500 (req-1)")
    failure = PollResult(JobStatus.FAILED, SubmitUnknown.code)
    assert lost == SubmitResult(SubmitState.ACCEPTED, verdict=failure)
    assert (await subject.attempts.begin_submit(attempt)).stored == lost
    generation = await subject.books.read(attempt.generation_id)
    assert (generation.stage, generation.needs_attention) == (Stage.SUBMIT_UNKNOWN, SubmitUnknown.code)
    # Another worker has its response after all: it is late, and what it cost is known.
    cost = ProviderCost(Decimal(7), "token")
    success = ProviderResult(JobStatus.SUCCEEDED, cost=cost)
    assert not await subject.attempts.record_sync_result(attempt, "req-1", success, ())
    noted = await subject.books.noted(attempt)
    assert (noted.state, noted.cost, noted.is_late) == (AttemptState.FAILED, cost, True)


async def test_a_try_that_was_overtaken_writes_nothing_but_its_job(
    subject: Subject, attempt: AttemptRef
) -> None:
    first = (await subject.attempts.begin_submit(attempt)).begun_at
    assert first is not None
    await subject.attempts.record_not_sent(attempt, first)
    await subject.attempts.begin_submit(attempt)
    await subject.attempts.record_not_sent(attempt, first)
    await subject.attempts.record_rejected(attempt, ProviderRefused("no"), first)
    await subject.attempts.record_pushed_back(attempt, Pushback("provider_throttled"), first)
    await subject.attempts.record_lost(attempt, "gone", first)
    assert (await subject.books.noted(attempt)).state is AttemptState.SENDING
    assert (await subject.attempts.begin_submit(attempt)).stored == UNKNOWN
    await subject.attempts.record_accepted(attempt, JOB)
    assert (await subject.books.noted(attempt)).state is AttemptState.ACCEPTED


async def test_a_status_never_falls(subject: Subject, attempt: AttemptRef) -> None:
    await subject.attempts.begin_submit(attempt)
    submitting = await subject.books.read(attempt.generation_id)
    assert (submitting.status, submitting.stage) == (Status.QUEUED, Stage.SUBMITTING)
    await subject.attempts.record_unknown(attempt)
    await subject.attempts.record_pushed_back(attempt, Pushback("provider_unavailable"))
    throttled = await subject.books.read(attempt.generation_id)
    assert (throttled.status, throttled.stage) == (Status.PROCESSING, Stage.THROTTLED)


async def test_a_webhook_proves_a_submit_without_a_response(subject: Subject, attempt: AttemptRef) -> None:
    await subject.attempts.begin_submit(attempt)
    assert await subject.attempts.record_unknown(attempt) == UNKNOWN
    await subject.inbox.record_event("fal", attempt, succeeded("job-1"))
    assert await subject.attempts.record_unknown(attempt) == FINISHED
    assert (await subject.attempts.begin_submit(attempt)).stored == FINISHED
    assert await stage(subject, attempt) is Stage.GENERATING


async def test_a_poll_finds_the_job_that_only_a_webhook_has_named(
    subject: Subject, attempt: AttemptRef
) -> None:
    asked = (await subject.attempts.begin_submit(attempt)).request
    assert asked is not None
    await subject.inbox.record_event("fal", attempt, succeeded("job-1"))
    found = await subject.attempts.get_attempt(attempt)
    job, result = ProviderJob("job-1", {}), PollResult(JobStatus.SUCCEEDED)
    assert found == AttemptRecord(asked, job, result, begun_at=NOW)
    assert (await subject.attempts.begin_submit(attempt)).stored == FINISHED


async def test_a_cancel_comes_before_the_submit(subject: Subject, attempt: AttemptRef) -> None:
    await subject.books.cancel(attempt.generation_id)
    assert (await subject.attempts.begin_submit(attempt)).stored == SubmitResult(SubmitState.CANCELED)
    with pytest.raises(GenerationNotFound):
        await subject.attempts.get_attempt(attempt)


async def test_a_cancel_does_not_hide_what_was_submitted(subject: Subject, attempt: AttemptRef) -> None:
    await subject.attempts.begin_submit(attempt)
    await subject.attempts.record_accepted(attempt, JOB)
    await subject.books.cancel(attempt.generation_id)
    assert (await subject.attempts.begin_submit(attempt)).stored == ACCEPTED


async def test_nothing_is_submitted_for_an_ended_generation(subject: Subject, attempt: AttemptRef) -> None:
    outcome = (await subject.ledger.refund(attempt.generation_id, CANCELED)).outcome
    assert outcome is not None
    ended = SubmitResult(SubmitState.ALREADY_TERMINAL, outcome=outcome)
    assert (await subject.attempts.begin_submit(attempt)).stored == ended


async def test_a_late_response_is_recorded_and_reopens_nothing(subject: Subject, attempt: AttemptRef) -> None:
    await subject.attempts.begin_submit(attempt)
    outcome = (await subject.ledger.refund(attempt.generation_id, CANCELED)).outcome
    await subject.attempts.record_accepted(attempt, JOB)
    assert await subject.attempts.record_unknown(attempt) == SubmitResult(
        SubmitState.ALREADY_TERMINAL, outcome=outcome
    )
    assert (await subject.attempts.get_attempt(attempt)).job == JOB
    assert (await subject.books.read(attempt.generation_id)).outcome == outcome


@pytest.mark.parametrize("answered", [False, True])
async def test_a_refund_of_a_queued_job_yields_to_a_submit(
    subject: Subject, attempt: AttemptRef, answered: bool
) -> None:
    ending = TerminalState(Status.FAILED, QueueTimedOut.code, unless_submitted=True)
    await subject.attempts.begin_submit(attempt)
    if answered:
        await subject.attempts.record_accepted(attempt, JOB)
    assert await subject.ledger.refund(attempt.generation_id, ending) == Refund(None, submitted=True)
    assert await subject.books.transfers(attempt.generation_id) == [("hold", 4)]


async def test_a_refund_of_a_queued_job_succeeds_if_nothing_was_sent(
    subject: Subject, attempt: AttemptRef
) -> None:
    ending = TerminalState(Status.FAILED, QueueTimedOut.code, unless_submitted=True)
    await subject.attempts.begin_submit(attempt)
    await subject.attempts.record_not_sent(attempt)
    assert (await subject.ledger.refund(attempt.generation_id, ending)).outcome is not None


@pytest.mark.parametrize("known", [True, False])
async def test_an_attempt_that_was_never_begun_is_not_found(
    subject: Subject, attempt: AttemptRef, known: bool
) -> None:
    about = attempt if known else AttemptRef(new_id("gen"))
    with pytest.raises(GenerationNotFound):
        await subject.attempts.record_accepted(about, JOB)
    with pytest.raises(GenerationNotFound):
        await subject.attempts.record_rejected(about, ContentRejected("not that"))
    with pytest.raises(GenerationNotFound):
        await subject.attempts.record_not_sent(about)
    with pytest.raises(GenerationNotFound):
        await subject.attempts.record_unknown(about)
    with pytest.raises(GenerationNotFound):
        await subject.attempts.record_result(about, ProviderResult(JobStatus.SUCCEEDED))
    with pytest.raises(GenerationNotFound):
        await subject.attempts.record_sync_result(about, "job-1", ProviderResult(JobStatus.SUCCEEDED), ())
    with pytest.raises(GenerationNotFound):
        await subject.attempts.get_attempt(about)
