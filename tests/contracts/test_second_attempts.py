"""One hold, two providers: the second attempt begins only if the first provably charges nothing."""

from dataclasses import replace

import pytest

from domain.credits import Balance
from domain.errors import GenerationNotFound, ProviderRefused, ProviderUnavailable, ServiceError
from domain.generation import Stage, Status, TerminalState
from domain.provider import AttemptRef, JobStatus, PollResult, ProviderJob, SubmitResult, SubmitState
from tests.contracts.attempt_histories import (
    COST,
    COST_NOTHING,
    MAY_BE_CHARGED,
    SUCCESS,
    History,
    polled_uncharged_failure,
    record_webhook,
)
from tests.contracts.events import attempt_of_a_hold, failed, succeeded, with_fallback
from tests.contracts.subjects import Subject
from tests.support.books import images

OTHER_JOB = ProviderJob("job-2", {})
REFUSED = SubmitResult(SubmitState.REJECTED, code=ServiceError.code)
# What sends a history on to where it went before.
ELSEWHERE = SubmitResult(SubmitState.REJECTED, code=ProviderUnavailable.code)


def second_of(first: AttemptRef) -> AttemptRef:
    return replace(first, ordinal=2)


@pytest.fixture
async def first(subject: Subject) -> AttemptRef:
    """Return a begun attempt of a generation with a fallback at Replicate."""
    attempt = await attempt_of_a_hold(subject, with_fallback())
    await subject.attempts.begin_submit(attempt)
    return attempt


@pytest.fixture
async def second(subject: Subject, first: AttemptRef) -> AttemptRef:
    """Return a second attempt, begun after the first failed without a charge."""
    await polled_uncharged_failure(subject, first)
    assert (await subject.attempts.begin_submit(second_of(first))).request is not None
    return second_of(first)


@pytest.mark.parametrize("history", MAY_BE_CHARGED, ids=lambda history: history.__name__)
async def test_no_second_attempt_begins_while_the_first_may_be_charged(
    subject: Subject, first: AttemptRef, history: History
) -> None:
    await history(subject, first)
    for _ in range(2):
        assert (await subject.attempts.begin_submit(second_of(first))).stored == REFUSED
    with pytest.raises(GenerationNotFound):
        await subject.attempts.get_attempt(second_of(first))


@pytest.mark.parametrize("history", COST_NOTHING, ids=lambda history: history.__name__)
async def test_another_is_asked_where_the_first_charges_nothing(
    subject: Subject, first: AttemptRef, history: History
) -> None:
    await history(subject, first)
    assert (await subject.attempts.begin_submit(second_of(first))).request is not None
    stage = (await subject.books.read(first.generation_id)).stage
    assert stage is Stage.SUBMITTING
    assert (await subject.attempts.begin_submit(second_of(first))).stored == SubmitResult(SubmitState.UNKNOWN)


@pytest.mark.parametrize("history", MAY_BE_CHARGED, ids=lambda history: history.__name__)
async def test_after_a_reset_the_first_is_not_begun_again_while_the_second_may_be_charged(
    subject: Subject, first: AttemptRef, history: History
) -> None:
    await subject.attempts.record_not_sent(first)
    await subject.attempts.begin_submit(second_of(first))
    await history(subject, second_of(first))
    assert (await subject.attempts.begin_submit(first)).stored == ELSEWHERE


@pytest.mark.parametrize("history", COST_NOTHING, ids=lambda history: history.__name__)
async def test_after_a_reset_the_first_is_begun_again_where_the_second_charges_nothing(
    subject: Subject, first: AttemptRef, history: History
) -> None:
    await subject.attempts.record_not_sent(first)
    await subject.attempts.begin_submit(second_of(first))
    await history(subject, second_of(first))
    assert (await subject.attempts.begin_submit(first)).request == replace(with_fallback(), fallback=None)
    assert await subject.attempts.record_sync_result(first, "call-1", SUCCESS, images(first.generation_id))
    assert not (await subject.books.noted(first)).is_late, "it is the one that is waited for now"


async def test_a_reset_does_not_submit_the_first_again_if_it_was_sent(
    subject: Subject, first: AttemptRef, second: AttemptRef
) -> None:
    answer = (await subject.attempts.begin_submit(first)).stored
    assert answer is not None
    assert (answer.state, answer.job_id) == (SubmitState.ACCEPTED, "job-1")
    assert answer.verdict == PollResult(JobStatus.FAILED, failed(does_not_charge=True).code, is_free=True)


async def test_the_fallback_gets_the_same_request_with_its_own_names_at_the_same_price(
    subject: Subject,
) -> None:
    wanted = with_fallback()
    first = await attempt_of_a_hold(subject, wanted)
    fallback = wanted.fallback
    assert fallback is not None
    await subject.attempts.begin_submit(first)
    await subject.attempts.record_not_sent(first)

    asked = (await subject.attempts.begin_submit(second_of(first))).request

    assert asked == replace(fallback, price_credits=wanted.price_credits)
    assert (await subject.attempts.get_attempt(second_of(first))).request == asked
    assert (await subject.attempts.get_attempt(first)).request == replace(wanted, fallback=None)
    assert await subject.books.transfers(first.generation_id) == [("hold", wanted.price_credits)]


async def test_a_second_try_without_a_fallback_is_the_same_again(subject: Subject) -> None:
    first = await attempt_of_a_hold(subject)
    asked = (await subject.attempts.begin_submit(first)).request
    await subject.attempts.record_not_sent(first)
    assert (await subject.attempts.begin_submit(second_of(first))).request == asked


async def test_an_image_of_the_second_is_paid_at_the_price_of_the_first(subject: Subject) -> None:
    tenant_id = await subject.books.tenant(10)
    first = AttemptRef(await subject.books.add(tenant_id, with_fallback()))
    await subject.ledger.reserve(first.generation_id)
    await subject.attempts.begin_submit(first)
    await subject.attempts.record_rejected(first, ProviderRefused("no"))
    await subject.attempts.begin_submit(second_of(first))
    await subject.attempts.record_accepted(second_of(first), OTHER_JOB)
    await subject.assets.begin_storing(second_of(first), None)

    outcome = (await subject.ledger.complete(first.generation_id, images(first.generation_id))).outcome

    assert (outcome.status, outcome.charged_credits) == (Status.COMPLETED, 4)
    assert await subject.books.balance(tenant_id) == Balance(6, 0, 4)
    await subject.books.assert_consistent(tenant_id)


@pytest.mark.parametrize("history", COST_NOTHING, ids=lambda history: history.__name__)
async def test_a_late_result_of_the_first_is_recorded_with_its_cost_and_changes_nothing(
    subject: Subject, first: AttemptRef, history: History
) -> None:
    await history(subject, first)
    await subject.attempts.begin_submit(second_of(first))
    await subject.attempts.record_accepted(second_of(first), OTHER_JOB)
    generation = await subject.books.read(first.generation_id)
    before = await subject.books.noted(second_of(first)), await subject.attempts.get_attempt(second_of(first))

    await record_webhook(subject, first, SUCCESS)

    noted = await subject.books.noted(first)
    assert (noted.is_late, noted.cost, noted.state.may_be_charged) == (True, COST, True)
    assert await subject.books.read(first.generation_id) == generation
    after = await subject.books.noted(second_of(first)), await subject.attempts.get_attempt(second_of(first))
    assert after == before


async def test_a_failure_that_stays_uncharged_changes_nothing(
    subject: Subject, first: AttemptRef, second: AttemptRef
) -> None:
    before = await subject.books.noted(first)
    await record_webhook(subject, first, failed(does_not_charge=True))
    assert await subject.books.noted(first) == before


async def test_the_seconds_own_result_is_not_late(subject: Subject, second: AttemptRef) -> None:
    await subject.attempts.record_accepted(second, OTHER_JOB)
    await record_webhook(subject, second, SUCCESS, job_id="job-2")
    noted = await subject.books.noted(second)
    assert (noted.is_late, noted.cost) == (False, COST)


async def test_a_webhook_of_the_first_is_no_proof_of_the_second(
    subject: Subject, first: AttemptRef, second: AttemptRef
) -> None:
    await record_webhook(subject, first, SUCCESS)
    assert await subject.attempts.record_unknown(second) == SubmitResult(SubmitState.UNKNOWN)


@pytest.mark.parametrize(
    ("ordinal", "provider", "is_taken"),
    [(1, "fal", True), (1, "replicate", False), (2, "replicate", True), (2, "fal", False)],
)
async def test_each_attempts_webhooks_come_from_its_own_provider(
    subject: Subject, first: AttemptRef, second: AttemptRef, ordinal: int, provider: str, is_taken: bool
) -> None:
    about = replace(first, ordinal=ordinal)
    if is_taken:
        kept = await subject.inbox.record_event(provider, about, succeeded("job-1"))
        assert (kept.generation_id, kept.signal.ordinal) == (first.generation_id, ordinal)
        return
    before = await subject.books.noted(about)
    with pytest.raises(GenerationNotFound):
        await subject.inbox.record_event(provider, about, succeeded("job-1"))
    assert await subject.books.noted(about) == before


async def test_a_cancel_in_the_queue_of_the_fallback_ends_at_once(
    subject: Subject, first: AttemptRef
) -> None:
    await polled_uncharged_failure(subject, first)
    ending = TerminalState(Status.CANCELED, unless_submitted=True)
    refund = await subject.ledger.refund(first.generation_id, ending)
    assert refund.outcome is not None
    assert refund.outcome.status is Status.CANCELED


async def test_a_cancel_yields_to_a_submit_of_the_second(subject: Subject, second: AttemptRef) -> None:
    ending = TerminalState(Status.CANCELED, unless_submitted=True)
    assert (await subject.ledger.refund(second.generation_id, ending)).submitted
