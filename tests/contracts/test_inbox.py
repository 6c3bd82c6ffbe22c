"""What an Inbox promises: each webhook once, and none for another provider's attempt."""

from dataclasses import replace

import pytest

from domain.errors import ContentRejected, GenerationNotFound
from domain.moderation import ModeratedAt
from domain.provider import AttemptRef, JobStatus, ProviderEvent, ProviderJob, ProviderResult, ResultSignal
from tests.contracts.events import attempt_of_a_hold, succeeded
from tests.contracts.subjects import Subject
from tests.support.requests import new_id


@pytest.fixture
async def attempt(subject: Subject) -> AttemptRef:
    """Return a begun attempt without a response."""
    attempt = await attempt_of_a_hold(subject)
    await subject.attempts.begin_submit(attempt)
    return attempt


async def test_an_event_becomes_the_signal_of_its_workflow(subject: Subject, attempt: AttemptRef) -> None:
    refused = ProviderResult(
        JobStatus.FAILED,
        ContentRejected.code,
        moderated_at=ModeratedAt.OUTPUT,
        does_not_charge=True,
        provider_message="not that",
    )
    received = await subject.inbox.record_event(
        "fal", attempt, ProviderEvent(new_id("event"), "job-1", refused)
    )
    inbox_id = received.signal.inbox_id
    assert received.signal == ResultSignal(
        inbox_id, 1, JobStatus.FAILED, ContentRejected.code, ModeratedAt.OUTPUT, is_free=True
    )
    assert (received.generation_id, received.relayed) == (attempt.generation_id, False)


async def test_the_first_of_equal_events_counts(subject: Subject, attempt: AttemptRef) -> None:
    event = succeeded("job-1")
    first = await subject.inbox.record_event("fal", attempt, event)
    changed = replace(event, result=ProviderResult(JobStatus.FAILED, ContentRejected.code))
    assert first.signal.verdict == JobStatus.SUCCEEDED
    assert await subject.inbox.record_event("fal", attempt, changed) == first


async def test_other_events_are_kept_as_well(subject: Subject, attempt: AttemptRef) -> None:
    received = [await subject.inbox.record_event("fal", attempt, succeeded("job-1")) for _ in range(3)]
    assert len({each.signal.inbox_id for each in received}) == 3


async def test_what_was_relayed_stays_relayed(subject: Subject, attempt: AttemptRef) -> None:
    event, other = succeeded("job-1"), succeeded("job-1")
    first = await subject.inbox.record_event("fal", attempt, event)
    await subject.inbox.record_event("fal", attempt, other)
    await subject.inbox.mark_relayed(first.signal.inbox_id)
    await subject.inbox.mark_relayed(first.signal.inbox_id)
    assert await subject.inbox.record_event("fal", attempt, event) == replace(first, relayed=True)
    assert not (await subject.inbox.record_event("fal", attempt, other)).relayed


async def test_an_event_about_another_job_only_asks_for_a_check(
    subject: Subject, attempt: AttemptRef
) -> None:
    await subject.attempts.record_accepted(attempt, ProviderJob("job-1", {}))
    other = (await subject.inbox.record_event("fal", attempt, succeeded("job-2"))).signal
    assert (other.verdict, other.code) == (JobStatus.CHECK, None)
    assert (await subject.attempts.get_attempt(attempt)).result is None
    assert (await subject.inbox.record_event("fal", attempt, succeeded("job-1"))).signal.verdict == (
        JobStatus.SUCCEEDED
    )
    assert (await subject.attempts.get_attempt(attempt)).job == ProviderJob("job-1", {})


async def test_an_event_before_its_attempt_only_asks_for_a_check(
    subject: Subject, attempt: AttemptRef
) -> None:
    early = await subject.inbox.record_event("fal", replace(attempt, ordinal=2), succeeded("job-1"))
    assert (early.signal.ordinal, early.signal.verdict) == (2, JobStatus.CHECK)


@pytest.mark.parametrize(("provider", "known"), [("other", True), ("fal", False)])
async def test_an_event_needs_a_generation_of_its_provider(
    subject: Subject, attempt: AttemptRef, provider: str, known: bool
) -> None:
    about = attempt if known else AttemptRef(new_id("gen"))
    event = succeeded("job-1")
    with pytest.raises(GenerationNotFound):
        await subject.inbox.record_event(provider, about, event)
    kept = await subject.inbox.record_event("fal", attempt, replace(event, job_id="job-2"))
    assert kept.signal.verdict == JobStatus.SUCCEEDED, "what was refused must not stand in the way"
