"""What a poll finds of a job that has not ended is stored, and told where it is new."""

from dataclasses import replace

import pytest

from adapters.database.engine import Database
from adapters.database.events import PostgresEventLog
from adapters.database.progress import PostgresProgressRecords
from domain.errors import ProviderUnavailable
from domain.events import EventType
from domain.generation import Stage, Status, TerminalState
from domain.progress import PollReport, PollStatus, ProviderProgress, StageProgress
from domain.provider import AttemptRef, JobStatus, PollResult, ProviderJob, ProviderResult
from tests.contracts.events import FILES, attempt_of_a_hold
from tests.contracts.subjects import Subject

JOB = ProviderJob("job-1", {})
ECHO = "a fox that nobody may read of"
QUEUED = ProviderProgress(is_queued=True, queue_position=2)
HALF = ProviderProgress(percent=50.5, logs=("Using seed: 5", ECHO))
AWAY = PollReport(PollStatus.UNAVAILABLE, ProviderUnavailable.code)


@pytest.fixture
async def attempt(subject: Subject) -> AttemptRef:
    """Return an attempt whose provider has its job."""
    attempt = await attempt_of_a_hold(subject)
    await subject.attempts.begin_submit(attempt)
    await subject.attempts.record_accepted(attempt, JOB)
    return attempt


async def found(database: Database, attempt: AttemptRef) -> StageProgress:
    progress = await PostgresProgressRecords(database).read_progress(attempt.generation_id)
    assert progress is not None
    return progress


async def told(subject: Subject, attempt: AttemptRef) -> list[dict[str, object]]:
    """Return the data of the events of its polls."""
    generation = await subject.books.read(attempt.generation_id)
    log = PostgresEventLog(subject.books.database)
    events = await log.list_of_generation(generation.tenant_id, generation.id, after=0, limit=1000)
    return [dict(event.data) for event in events if event.type is EventType.ATTEMPT_POLLED]


async def age(subject: Subject, attempt: AttemptRef, seconds: int) -> None:
    """Let the last event of a poll be so old."""
    await subject.books.sql(
        "UPDATE attempts SET progress = jsonb_set(progress, '{event_at}', to_jsonb("
        "CAST(progress ->> 'event_at' AS timestamptz) - make_interval(secs => :seconds)))"
        " WHERE generation_id = :id",
        seconds=seconds,
        id=attempt.generation_id,
    )


async def test_what_the_provider_says_is_stored_and_told_without_its_words(
    subject: Subject, database: Database, attempt: AttemptRef
) -> None:
    await subject.attempts.record_poll(attempt, PollReport.of(QUEUED))
    first = await found(database, attempt)
    await subject.attempts.record_poll(attempt, PollReport.of(HALF))
    second = await found(database, attempt)

    assert (first.stage, first.provider, second.provider) == (Stage.GENERATING, QUEUED, HALF)
    assert first.said_at is not None
    assert second.said_at is not None
    assert first.said_at < second.said_at
    assert second.elapsed_seconds > 0
    assert await told(subject, attempt) == [
        {"ordinal": 1, "number": 1, "status": "queued", "queue_position": 2},
        {"ordinal": 1, "number": 2, "status": "running", "percent": 50.5},
    ]
    assert ECHO not in str(await told(subject, attempt))


async def test_a_poll_that_brings_nothing_new_is_told_every_30_seconds(
    subject: Subject, database: Database, attempt: AttemptRef
) -> None:
    logs = [replace(HALF, logs=(f"line {number}",)) for number in range(5)]
    for log in logs:
        await subject.attempts.record_poll(attempt, PollReport.of(log))
    assert [event["number"] for event in await told(subject, attempt)] == [1]
    assert (await found(database, attempt)).provider == logs[-1]

    await age(subject, attempt, 29)
    await subject.attempts.record_poll(attempt, PollReport.of(HALF))
    assert [event["number"] for event in await told(subject, attempt)] == [1]
    await age(subject, attempt, 1)
    await subject.attempts.record_poll(attempt, PollReport.of(HALF))
    await subject.attempts.record_poll(attempt, PollReport.of(HALF))
    assert [event["number"] for event in await told(subject, attempt)] == [1, 7]


async def test_an_attempt_has_200_events_of_polls_at_most(subject: Subject, attempt: AttemptRef) -> None:
    for number in range(203):
        await subject.attempts.record_poll(attempt, PollReport.of(ProviderProgress(queue_position=number)))

    assert [event["number"] for event in await told(subject, attempt)] == list(range(1, 201))


async def test_a_poll_that_fails_is_told_with_its_code_and_leaves_what_was_said(
    subject: Subject, database: Database, attempt: AttemptRef
) -> None:
    await subject.attempts.record_poll(attempt, AWAY)
    assert (await found(database, attempt)).provider is None
    await subject.attempts.record_poll(attempt, PollReport.of(HALF))
    before = await found(database, attempt)
    await subject.attempts.record_poll(attempt, AWAY)
    after = await found(database, attempt)

    assert (after.provider, after.said_at) == (HALF, before.said_at)
    assert await told(subject, attempt) == [
        {"ordinal": 1, "number": 1, "status": "unavailable", "code": "provider_unavailable"},
        {"ordinal": 1, "number": 2, "status": "running", "percent": 50.5},
        {"ordinal": 1, "number": 3, "status": "unavailable", "code": "provider_unavailable"},
    ]


async def test_a_provider_that_says_nothing_any_more_is_not_quoted(
    subject: Subject, database: Database, attempt: AttemptRef
) -> None:
    await subject.attempts.record_poll(attempt, PollReport.of(HALF))
    await subject.attempts.record_poll(attempt, PollReport.of(None))

    assert (await found(database, attempt)).provider == ProviderProgress()


async def test_a_poll_changes_nothing_else_of_an_attempt(subject: Subject, attempt: AttemptRef) -> None:
    before = await subject.attempts.get_attempt(attempt)
    await subject.attempts.record_poll(attempt, PollReport.of(HALF))

    assert await subject.attempts.get_attempt(attempt) == before


async def test_a_late_poll_changes_nothing(subject: Subject, database: Database, attempt: AttemptRef) -> None:
    await subject.attempts.record_result(attempt, ProviderResult(JobStatus.SUCCEEDED, files=FILES))
    await subject.attempts.record_poll(attempt, PollReport.of(HALF))

    assert (await found(database, attempt)).provider is None
    assert (await subject.attempts.get_attempt(attempt)).result == PollResult(JobStatus.SUCCEEDED)
    assert await told(subject, attempt) == []


async def test_a_poll_of_a_generation_that_has_ended_changes_nothing(
    subject: Subject, database: Database, attempt: AttemptRef
) -> None:
    await subject.ledger.refund(attempt.generation_id, TerminalState(Status.CANCELED))
    await subject.attempts.record_poll(attempt, PollReport.of(HALF))

    assert await PostgresProgressRecords(database).read_progress(attempt.generation_id) is None
    assert await told(subject, attempt) == []
    [(stored,)] = await subject.books.sql(
        "SELECT progress FROM attempts WHERE generation_id = :id", id=attempt.generation_id
    )
    assert stored is None


async def test_a_poll_of_an_attempt_that_was_never_begun_changes_nothing(
    subject: Subject, database: Database
) -> None:
    attempt = await attempt_of_a_hold(subject)
    await subject.attempts.record_poll(attempt, PollReport.of(HALF))

    nothing = await found(database, attempt)
    assert (nothing.stage, nothing.provider, nothing.said_at) == (Stage.THROTTLED, None, None)
    assert await PostgresProgressRecords(database).read_progress("gen_0") is None


async def test_the_last_attempt_is_the_one_that_is_asked(subject: Subject, database: Database) -> None:
    """Its ordinal does not show it: after a Reset in Temporal the first may be begun again."""
    attempt = await attempt_of_a_hold(subject)
    await subject.attempts.begin_submit(attempt)
    await subject.attempts.record_accepted(attempt, JOB)
    await subject.attempts.record_poll(attempt, PollReport.of(HALF))
    await subject.books.sql(
        "INSERT INTO attempts (generation_id, ordinal, provider, endpoint, state, started_at)"
        " VALUES (:id, 2, 'replicate', 'e', 'sending', now() + interval '1 second')",
        id=attempt.generation_id,
    )

    assert (await found(database, attempt)).provider is None
