"""Submits that are recorded once, webhooks that are kept once, and images that are recorded once."""

import pytest

from adapters.database.assets import PostgresAssets
from adapters.database.attempts import PostgresAttempts
from adapters.database.inbox import PostgresInbox
from adapters.database.ledger import PostgresLedger
from domain.credits import Refund
from domain.errors import ContentRejected, GenerationNotFound, QueueTimedOut
from domain.generation import Ending, GenerationRequest, Outcome, Stage, Status
from domain.ports import Storing
from domain.provider import (
    AttemptRef,
    ProviderEvent,
    ProviderJob,
    ProviderResult,
    ResultFile,
    SubmitAnswer,
    SubmitState,
    Verdict,
)
from tests.support.books import PostgresBooks, images
from tests.support.requests import new_id

FILES = (ResultFile("https://v3.fal.media/files/a.png"),)
POLLED_FILES = (ResultFile("https://v3.fal.media/files/b.png"),)
CANCELED = Ending(Status.CANCELED)


@pytest.fixture
async def attempt(books: PostgresBooks) -> AttemptRef:
    """The first attempt of a generation whose credits are held, not begun."""
    generation_id = await books.add(await books.tenant(10))
    await PostgresLedger(books.database).reserve(generation_id)
    return AttemptRef(generation_id)


@pytest.fixture
def attempts(books: PostgresBooks) -> PostgresAttempts:
    return PostgresAttempts(books.database)


@pytest.fixture
def inbox(books: PostgresBooks) -> PostgresInbox:
    return PostgresInbox(books.database)


@pytest.fixture
def assets(books: PostgresBooks) -> PostgresAssets:
    return PostgresAssets(books.database)


@pytest.fixture
def ledger(books: PostgresBooks) -> PostgresLedger:
    return PostgresLedger(books.database)


def succeeded(job_id: str) -> ProviderEvent:
    return ProviderEvent(new_id("event"), job_id, ProviderResult(Verdict.SUCCEEDED, files=FILES))


async def test_only_the_first_begin_may_submit(
    books: PostgresBooks, attempts: PostgresAttempts, attempt: AttemptRef
) -> None:
    first = await attempts.begin(attempt)
    assert first == (await books.read(attempt.generation_id)).request
    assert (await books.read(attempt.generation_id)).stage is Stage.SUBMITTING
    assert await attempts.begin(attempt) == SubmitAnswer(SubmitState.UNKNOWN)
    assert (await books.read(attempt.generation_id)).stage is Stage.SUBMIT_UNKNOWN


async def test_what_was_provably_not_sent_may_be_begun_again(
    attempts: PostgresAttempts, attempt: AttemptRef
) -> None:
    await attempts.begin(attempt)
    await attempts.not_sent(attempt)
    assert isinstance(await attempts.begin(attempt), GenerationRequest)
    assert await attempts.begin(attempt) == SubmitAnswer(SubmitState.UNKNOWN)


async def test_a_rerun_gets_the_accepted_job(
    books: PostgresBooks, attempts: PostgresAttempts, attempt: AttemptRef
) -> None:
    await attempts.begin(attempt)
    job = ProviderJob("job-1", {"status": "https://queue.fal.run/job-1/status"})
    await attempts.accepted(attempt, job)
    assert await attempts.begin(attempt) == SubmitAnswer(SubmitState.ACCEPTED, job_id="job-1")
    assert (await attempts.job(attempt))[1] == job
    assert (await books.read(attempt.generation_id)).stage is Stage.GENERATING


async def test_a_rerun_gets_the_rejection(attempts: PostgresAttempts, attempt: AttemptRef) -> None:
    await attempts.begin(attempt)
    await attempts.rejected(attempt, ContentRejected.code, "not that")
    rejected = SubmitAnswer(SubmitState.REJECTED, code=ContentRejected.code)
    assert await attempts.begin(attempt) == rejected
    assert (await attempts.job(attempt))[1] is None


async def test_a_webhook_proves_an_unanswered_submit(
    books: PostgresBooks, attempts: PostgresAttempts, inbox: PostgresInbox, attempt: AttemptRef
) -> None:
    await attempts.begin(attempt)
    assert await attempts.unknown(attempt) == SubmitAnswer(SubmitState.UNKNOWN)
    await inbox.receive("fal", attempt, succeeded("job-7"))
    accepted = SubmitAnswer(SubmitState.ACCEPTED, job_id="job-7")
    assert await attempts.unknown(attempt) == accepted
    assert await attempts.begin(attempt) == accepted
    assert (await books.read(attempt.generation_id)).stage is Stage.GENERATING


async def test_a_poll_finds_the_job_that_only_a_webhook_has_named(
    attempts: PostgresAttempts, inbox: PostgresInbox, attempt: AttemptRef
) -> None:
    await attempts.begin(attempt)
    await inbox.receive("fal", attempt, succeeded("job-8"))
    assert (await attempts.job(attempt))[1] == ProviderJob("job-8", {})


async def test_a_cancel_comes_before_the_submit(
    books: PostgresBooks, attempts: PostgresAttempts, attempt: AttemptRef
) -> None:
    await books.cancel(attempt.generation_id)
    assert await attempts.begin(attempt) == SubmitAnswer(SubmitState.CANCELED)
    with pytest.raises(GenerationNotFound):
        await attempts.job(attempt)


async def test_nothing_is_submitted_for_an_ended_generation(
    attempts: PostgresAttempts, ledger: PostgresLedger, attempt: AttemptRef
) -> None:
    outcome = (await ledger.refund(attempt.generation_id, CANCELED)).outcome
    answer = SubmitAnswer(SubmitState.ALREADY_TERMINAL, outcome=outcome)
    assert outcome is not None
    assert await attempts.begin(attempt) == answer


async def test_a_refund_for_standing_in_line_yields_to_a_submit(
    books: PostgresBooks, attempts: PostgresAttempts, ledger: PostgresLedger, attempt: AttemptRef
) -> None:
    ending = Ending(Status.FAILED, QueueTimedOut.code, unless_submitted=True)
    await attempts.begin(attempt)
    assert await ledger.refund(attempt.generation_id, ending) == Refund(None, submitted=True)
    assert await books.transfers(attempt.generation_id) == [("hold", 4)]
    await attempts.not_sent(attempt)
    assert (await ledger.refund(attempt.generation_id, ending)).outcome is not None


async def test_an_event_is_kept_once(
    books: PostgresBooks, attempts: PostgresAttempts, inbox: PostgresInbox, attempt: AttemptRef
) -> None:
    await attempts.begin(attempt)
    event = succeeded("job-1")
    first = await inbox.receive("fal", attempt, event)
    assert (first.signal.verdict, first.generation_id) == (Verdict.SUCCEEDED, attempt.generation_id)
    assert not first.relayed
    changed = ProviderEvent(event.event_id, "job-1", ProviderResult(Verdict.FAILED, "provider_failed"))
    assert await inbox.receive("fal", attempt, changed) == first

    await inbox.mark_relayed(first.signal.inbox_id)
    assert (await inbox.receive("fal", attempt, event)).relayed
    counted = await books.sql("SELECT count(*) FROM inbox WHERE event_id = :id", id=event.event_id)
    assert counted == [(1,)]


async def test_an_event_about_another_job_only_asks_for_a_check(
    attempts: PostgresAttempts, inbox: PostgresInbox, attempt: AttemptRef
) -> None:
    await attempts.begin(attempt)
    await attempts.accepted(attempt, ProviderJob("job-1", {}))
    assert (await inbox.receive("fal", attempt, succeeded("job-2"))).signal.verdict == Verdict.CHECK
    assert (await inbox.receive("fal", attempt, succeeded("job-1"))).signal.verdict == Verdict.SUCCEEDED
    assert (await attempts.job(attempt))[1] == ProviderJob("job-1", {})


@pytest.mark.parametrize(("provider", "known"), [("other", True), ("fal", False)])
async def test_an_event_needs_a_generation_of_its_provider(
    books: PostgresBooks, inbox: PostgresInbox, attempt: AttemptRef, provider: str, known: bool
) -> None:
    event = succeeded("job-1")
    about = attempt if known else AttemptRef(new_id("gen"))
    with pytest.raises(GenerationNotFound):
        await inbox.receive(provider, about, event)
    assert await books.sql("SELECT id FROM inbox WHERE event_id = :id", id=event.event_id) == []


async def test_storing_never_begins_after_a_cancel(
    books: PostgresBooks, assets: PostgresAssets, attempt: AttemptRef
) -> None:
    await books.cancel(attempt.generation_id)
    assert await assets.begin_storing(attempt, None) is None
    assert (await books.read(attempt.generation_id)).stage is Stage.THROTTLED


async def test_storing_takes_the_polled_files_before_the_webhooks(
    attempts: PostgresAttempts, inbox: PostgresInbox, assets: PostgresAssets, attempt: AttemptRef
) -> None:
    await attempts.begin(attempt)
    received = await inbox.receive("fal", attempt, succeeded("job-1"))
    by_webhook = await assets.begin_storing(attempt, received.signal.inbox_id)
    assert isinstance(by_webhook, Storing)
    assert by_webhook.files == FILES
    await attempts.record_result(attempt, ProviderResult(Verdict.SUCCEEDED, files=POLLED_FILES))
    polled = await assets.begin_storing(attempt, received.signal.inbox_id)
    assert isinstance(polled, Storing)
    assert polled.files == POLLED_FILES


async def test_images_are_recorded_once(
    books: PostgresBooks, assets: PostgresAssets, attempt: AttemptRef
) -> None:
    await assets.begin_storing(attempt, None)
    stored = images(attempt.generation_id, 2)
    assert await assets.finish_storing(attempt.generation_id, stored)
    assert await assets.finish_storing(attempt.generation_id, stored[:1])
    again = await assets.begin_storing(attempt, None)
    assert isinstance(again, Storing)
    assert again.stored == tuple(stored)
    assert (await books.read(attempt.generation_id)).stage is Stage.SETTLING


async def test_no_image_is_recorded_for_an_ended_generation(
    books: PostgresBooks, assets: PostgresAssets, ledger: PostgresLedger, attempt: AttemptRef
) -> None:
    await assets.begin_storing(attempt, None)
    outcome = (await ledger.refund(attempt.generation_id, CANCELED)).outcome
    assert not await assets.finish_storing(attempt.generation_id, images(attempt.generation_id))
    assert outcome == Outcome(attempt.generation_id, Status.CANCELED)
    assert await assets.begin_storing(attempt, None) == outcome
    assert (await books.read(attempt.generation_id)).images == ()
