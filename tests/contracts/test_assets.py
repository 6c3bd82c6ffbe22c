"""What Assets promise, in memory and on PostgreSQL: no storing after a cancel, and images recorded once."""

import pytest

from domain.errors import GenerationNotFound, ProviderFailed, TooLateToCancel
from domain.generation import Ending, Outcome, Stage, Status
from domain.ports import Storing
from domain.provider import AttemptRef, ProviderEvent, ProviderResult, ResultFile, Verdict
from tests.contracts.events import FILES, attempt_of_a_hold, succeeded
from tests.contracts.subjects import Subject
from tests.support.books import images
from tests.support.requests import new_id

LATER_FILES = (ResultFile("https://v3.fal.media/files/b.png"),)
CANCELED = Ending(Status.CANCELED)
REFUSED = ProviderResult(Verdict.FAILED, ProviderFailed.code)


@pytest.fixture
async def attempt(subject: Subject) -> AttemptRef:
    """Begun, and not answered yet."""
    attempt = await attempt_of_a_hold(subject)
    await subject.attempts.begin(attempt)
    return attempt


async def files(subject: Subject, attempt: AttemptRef, inbox_id: int | None) -> tuple[ResultFile, ...]:
    storing = await subject.assets.begin_storing(attempt, inbox_id)
    assert isinstance(storing, Storing)
    return storing.files


async def received(subject: Subject, attempt: AttemptRef, event: ProviderEvent) -> int:
    return (await subject.inbox.receive("fal", attempt, event)).signal.inbox_id


async def test_storing_never_begins_after_a_cancel(subject: Subject, attempt: AttemptRef) -> None:
    await subject.books.cancel(attempt.generation_id)
    assert await subject.assets.begin_storing(attempt, None) is None
    assert (await subject.books.read(attempt.generation_id)).stage is Stage.SUBMITTING


async def test_a_cancel_is_too_late_once_storing_has_begun(subject: Subject, attempt: AttemptRef) -> None:
    storing = await subject.assets.begin_storing(attempt, None)
    assert isinstance(storing, Storing)
    assert (storing.generation.stage, storing.stored) == (Stage.STORING, ())
    with pytest.raises(TooLateToCancel):
        await subject.books.cancel(attempt.generation_id)
    assert isinstance(await subject.assets.begin_storing(attempt, None), Storing)


async def test_nothing_is_stored_of_an_ended_generation(subject: Subject, attempt: AttemptRef) -> None:
    await subject.assets.begin_storing(attempt, None)
    outcome = (await subject.ledger.refund(attempt.generation_id, CANCELED)).outcome
    assert outcome == Outcome(attempt.generation_id, Status.CANCELED)
    assert await subject.assets.begin_storing(attempt, None) == outcome
    assert not await subject.assets.finish_storing(attempt.generation_id, images(attempt.generation_id))
    generation = await subject.books.read(attempt.generation_id)
    assert (generation.outcome, generation.images) == (outcome, ())


async def test_images_are_recorded_once(subject: Subject, attempt: AttemptRef) -> None:
    await subject.assets.begin_storing(attempt, None)
    stored = images(attempt.generation_id, 2)
    assert await subject.assets.finish_storing(attempt.generation_id, stored)
    assert await subject.assets.finish_storing(attempt.generation_id, stored[:1])
    again = await subject.assets.begin_storing(attempt, None)
    assert isinstance(again, Storing)
    assert again.stored == tuple(stored)
    assert again.generation.stage is Stage.SETTLING


async def test_images_that_are_paid_for_stay(subject: Subject, attempt: AttemptRef) -> None:
    await subject.assets.begin_storing(attempt, None)
    stored = images(attempt.generation_id)
    await subject.assets.finish_storing(attempt.generation_id, stored)
    outcome = await subject.ledger.settle(attempt.generation_id)
    assert await subject.assets.begin_storing(attempt, None) == outcome
    assert await subject.assets.finish_storing(attempt.generation_id, images(attempt.generation_id, 2))
    assert (await subject.books.read(attempt.generation_id)).images == tuple(stored)


async def test_a_webhook_brings_the_files(subject: Subject, attempt: AttemptRef) -> None:
    inbox_id = await received(subject, attempt, succeeded("job-1"))
    assert await files(subject, attempt, inbox_id) == FILES


async def test_the_files_are_those_of_the_webhook_that_was_named(
    subject: Subject, attempt: AttemptRef
) -> None:
    await received(subject, attempt, succeeded("job-1"))
    later = await received(subject, attempt, succeeded("job-1", LATER_FILES))
    assert await files(subject, attempt, later) == LATER_FILES
    assert await files(subject, attempt, None) == FILES


async def test_a_webhook_without_a_success_brings_no_files(subject: Subject, attempt: AttemptRef) -> None:
    inbox_id = await received(subject, attempt, ProviderEvent(new_id("event"), "job-1", REFUSED))
    assert await files(subject, attempt, inbox_id) == ()


async def test_a_webhook_of_another_attempt_brings_no_files(subject: Subject, attempt: AttemptRef) -> None:
    other = await attempt_of_a_hold(subject)
    await subject.attempts.begin(other)
    inbox_id = await received(subject, other, succeeded("job-1"))
    assert await files(subject, attempt, inbox_id) == ()


async def test_polled_files_go_before_those_of_a_webhook(subject: Subject, attempt: AttemptRef) -> None:
    inbox_id = await received(subject, attempt, succeeded("job-1"))
    await subject.attempts.record_result(attempt, ProviderResult(Verdict.SUCCEEDED, files=LATER_FILES))
    assert await files(subject, attempt, inbox_id) == LATER_FILES


async def test_a_poll_without_a_success_leaves_the_files_of_a_webhook(
    subject: Subject, attempt: AttemptRef
) -> None:
    inbox_id = await received(subject, attempt, succeeded("job-1"))
    await subject.attempts.record_result(attempt, REFUSED)
    assert await files(subject, attempt, inbox_id) == FILES


async def test_an_unknown_generation_is_not_found(subject: Subject) -> None:
    with pytest.raises(GenerationNotFound):
        await subject.assets.begin_storing(AttemptRef(new_id("gen")), None)
    with pytest.raises(GenerationNotFound):
        await subject.assets.finish_storing(new_id("gen"), [])
