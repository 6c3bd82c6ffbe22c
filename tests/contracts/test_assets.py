"""What Assets promise: no storing after a cancel, and images recorded once."""

import pytest

from domain.credits import Completion
from domain.errors import ContentRejected, GenerationNotFound, NotDelivered, ProviderFailed, TooLateToCancel
from domain.generation import Outcome, Stage, Status, TerminalState, Undelivered
from domain.ports import ResultToStore, StoringStart
from domain.provider import AttemptRef, JobStatus, ProviderEvent, ProviderResult, ResultFile
from tests.contracts.events import FILES, attempt_of_a_hold, event, succeeded, with_fallback
from tests.contracts.subjects import Subject
from tests.support.books import images
from tests.support.requests import new_id

LATER_FILES = (ResultFile("https://v3.fal.media/files/b.png"),)
MISSING = (Undelivered(1, ContentRejected.code), Undelivered(2, NotDelivered.code))
CANCELED = TerminalState(Status.CANCELED)
REFUSED = ProviderResult(JobStatus.FAILED, ProviderFailed.code)


@pytest.fixture
async def attempt(subject: Subject) -> AttemptRef:
    """Return a begun attempt without a response."""
    attempt = await attempt_of_a_hold(subject)
    await subject.attempts.begin_submit(attempt)
    return attempt


async def files(subject: Subject, attempt: AttemptRef, inbox_id: int | None) -> tuple[ResultFile, ...]:
    return (await to_store(subject, attempt, inbox_id)).files


async def to_store(subject: Subject, attempt: AttemptRef, inbox_id: int | None = None) -> ResultToStore:
    start = await subject.assets.begin_storing(attempt, inbox_id)
    assert start.result is not None
    return start.result


async def received(subject: Subject, attempt: AttemptRef, event: ProviderEvent) -> int:
    return (await subject.inbox.record_event("fal", attempt, event)).signal.inbox_id


async def test_storing_never_begins_after_a_cancel(subject: Subject, attempt: AttemptRef) -> None:
    await subject.books.cancel(attempt.generation_id)
    assert await subject.assets.begin_storing(attempt, None) == StoringStart()
    assert (await subject.books.read(attempt.generation_id)).stage is Stage.SUBMITTING


async def test_a_cancel_is_too_late_once_storing_has_begun(subject: Subject, attempt: AttemptRef) -> None:
    storing = await to_store(subject, attempt, None)
    assert (storing.generation.stage, storing.recorded) == (Stage.STORING, ())
    assert (storing.provider, storing.files, storing.delivered, storing.undelivered) == ("fal", (), (), ())
    with pytest.raises(TooLateToCancel):
        await subject.books.cancel(attempt.generation_id)
    await to_store(subject, attempt, None)


async def test_nothing_is_stored_of_an_ended_generation(subject: Subject, attempt: AttemptRef) -> None:
    await subject.assets.begin_storing(attempt, None)
    outcome = (await subject.ledger.refund(attempt.generation_id, CANCELED)).outcome
    assert outcome == Outcome(attempt.generation_id, Status.CANCELED)
    assert await subject.assets.begin_storing(attempt, None) == StoringStart(outcome=outcome)
    completion = await subject.ledger.complete(attempt.generation_id, images(attempt.generation_id))
    assert completion == Completion(outcome, keeps_images=False)
    generation = await subject.books.read(attempt.generation_id)
    assert (generation.outcome, generation.images) == (outcome, ())


async def test_images_are_recorded_once(subject: Subject, attempt: AttemptRef) -> None:
    await subject.assets.begin_storing(attempt, None)
    stored = images(attempt.generation_id, 2)
    first = await subject.ledger.complete(attempt.generation_id, stored)
    assert first.keeps_images
    assert await subject.ledger.complete(attempt.generation_id, stored[:1]) == first
    assert (await subject.books.read(attempt.generation_id)).images == tuple(stored)


async def test_images_that_an_earlier_version_recorded_are_charged_for(
    subject: Subject, attempt: AttemptRef
) -> None:
    await subject.books.store(attempt.generation_id, 2)
    again = await to_store(subject, attempt, None)
    assert again.recorded == tuple(images(attempt.generation_id, 2))
    assert again.generation.stage is Stage.SETTLING
    completion = await subject.ledger.complete(attempt.generation_id, images(attempt.generation_id))
    assert (completion.outcome.images, completion.keeps_images) == (2, True)
    assert await subject.ledger.settle(attempt.generation_id) == completion.outcome


async def test_images_that_are_paid_for_stay(subject: Subject, attempt: AttemptRef) -> None:
    await subject.assets.begin_storing(attempt, None)
    stored = images(attempt.generation_id)
    outcome = (await subject.ledger.complete(attempt.generation_id, stored)).outcome
    assert await subject.ledger.settle(attempt.generation_id) == outcome
    assert await subject.assets.begin_storing(attempt, None) == StoringStart(outcome=outcome)
    again = await subject.ledger.complete(attempt.generation_id, images(attempt.generation_id, 2))
    assert again.keeps_images
    assert (await subject.books.read(attempt.generation_id)).images == tuple(stored)


async def test_a_webhook_brings_the_files(subject: Subject, attempt: AttemptRef) -> None:
    inbox_id = await received(subject, attempt, succeeded("job-1"))
    assert await files(subject, attempt, inbox_id) == FILES


@pytest.mark.parametrize("named", [0, 1, None])
async def test_the_files_are_those_of_the_first_webhook_whichever_is_named(
    subject: Subject, attempt: AttemptRef, named: int | None
) -> None:
    kept = [await received(subject, attempt, succeeded("job-1", files)) for files in (FILES, LATER_FILES)]
    assert await files(subject, attempt, None if named is None else kept[named]) == FILES


async def test_the_files_are_those_of_the_first_webhook_where_a_poll_says_otherwise(
    subject: Subject, attempt: AttemptRef
) -> None:
    kept = [await received(subject, attempt, succeeded("job-1", files)) for files in (FILES, LATER_FILES)]
    await subject.attempts.record_result(attempt, REFUSED)
    assert await files(subject, attempt, kept[1]) == FILES
    assert await files(subject, attempt, None) == FILES


async def test_a_webhook_without_a_success_brings_no_files(subject: Subject, attempt: AttemptRef) -> None:
    inbox_id = await received(subject, attempt, ProviderEvent(new_id("event"), "job-1", REFUSED))
    assert await files(subject, attempt, inbox_id) == ()


async def test_a_webhook_of_another_attempt_brings_no_files(subject: Subject, attempt: AttemptRef) -> None:
    other = await attempt_of_a_hold(subject)
    await subject.attempts.begin_submit(other)
    inbox_id = await received(subject, other, succeeded("job-1"))
    assert await files(subject, attempt, inbox_id) == ()


async def test_polled_files_go_before_those_of_a_webhook(subject: Subject, attempt: AttemptRef) -> None:
    inbox_id = await received(subject, attempt, succeeded("job-1"))
    await subject.attempts.record_result(attempt, ProviderResult(JobStatus.SUCCEEDED, files=LATER_FILES))
    assert await files(subject, attempt, inbox_id) == LATER_FILES


async def test_a_poll_without_a_success_leaves_the_files_of_a_webhook(
    subject: Subject, attempt: AttemptRef
) -> None:
    inbox_id = await received(subject, attempt, succeeded("job-1"))
    await subject.attempts.record_result(attempt, REFUSED)
    assert await files(subject, attempt, inbox_id) == FILES


async def test_a_webhook_names_undelivered_images(subject: Subject, attempt: AttemptRef) -> None:
    result = ProviderResult(JobStatus.SUCCEEDED, files=FILES, undelivered=MISSING)
    inbox_id = await received(subject, attempt, event(result))
    storing = await to_store(subject, attempt, inbox_id)
    assert (storing.files, storing.undelivered) == (FILES, MISSING)


async def test_what_a_response_delivered_is_stored_already(subject: Subject, attempt: AttemptRef) -> None:
    delivered = tuple(images(attempt.generation_id, 2))
    result = ProviderResult(JobStatus.SUCCEEDED, undelivered=MISSING)
    assert await subject.attempts.record_sync_result(attempt, "job-1", result, delivered)
    for _ in range(2):
        storing = await to_store(subject, attempt, None)
        assert (storing.files, storing.delivered, storing.undelivered) == ((), delivered, MISSING)
        assert storing.recorded == ()


async def test_a_failed_response_delivers_nothing(subject: Subject, attempt: AttemptRef) -> None:
    assert await subject.attempts.record_sync_result(attempt, "job-1", REFUSED, images(attempt.generation_id))
    storing = await to_store(subject, attempt, None)
    assert storing.delivered == ()


async def test_undelivered_images_are_recorded_with_the_delivered(
    subject: Subject, attempt: AttemptRef
) -> None:
    await subject.assets.begin_storing(attempt, None)
    stored = images(attempt.generation_id)
    await subject.ledger.complete(attempt.generation_id, stored, MISSING)
    await subject.ledger.complete(attempt.generation_id, stored, MISSING[:1])
    generation = await subject.books.read(attempt.generation_id)
    assert (generation.images, generation.undelivered) == (tuple(stored), MISSING)


async def test_objects_are_expected_of_an_open_generation_only(subject: Subject, attempt: AttemptRef) -> None:
    expecting = await subject.assets.expect_objects(attempt.generation_id)
    assert expecting == await subject.books.read(attempt.generation_id)
    assert expecting.stage is Stage.SUBMITTING, "storing has not begun, so a cancel may still come"
    await subject.books.cancel(attempt.generation_id)
    assert await subject.assets.expect_objects(attempt.generation_id) is not None
    await subject.ledger.refund(attempt.generation_id, CANCELED)
    assert await subject.assets.expect_objects(attempt.generation_id) is None


async def test_the_provider_is_that_of_the_attempt(subject: Subject) -> None:
    first = await attempt_of_a_hold(subject, with_fallback())
    second = AttemptRef(first.generation_id, 2)
    await subject.attempts.begin_submit(second)
    await subject.attempts.record_result(second, ProviderResult(JobStatus.SUCCEEDED, files=FILES))
    storing = await to_store(subject, second, None)
    assert (storing.provider, storing.files) == ("replicate", FILES)


async def test_an_unknown_generation_is_not_found(subject: Subject) -> None:
    with pytest.raises(GenerationNotFound):
        await subject.assets.expect_objects(new_id("gen"))
    with pytest.raises(GenerationNotFound):
        await subject.assets.begin_storing(AttemptRef(new_id("gen")), None)
    with pytest.raises(GenerationNotFound):
        await subject.ledger.complete(new_id("gen"), [])
