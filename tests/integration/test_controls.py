"""What the database itself keeps of what a client says: times, a prompt that goes, and the life of images."""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import timedelta

import pytest

from adapters.database.assets import PostgresAssets
from adapters.database.erasure import PostgresErasure, request_erasure
from adapters.database.inbox import PostgresInbox
from adapters.database.ledger import PostgresLedger
from adapters.database.reconcile_queries import PostgresReconcileQueries
from domain.audit import SYSTEM
from domain.catalog import Catalog
from domain.controls import CanceledBy, Controls
from domain.credits import HoldState
from domain.errors import NotStartedInTime, ProviderRefused
from domain.generation import GenerationRequest, Status, TerminalState
from domain.provider import (
    AttemptRef,
    JobStatus,
    ProviderEvent,
    ProviderJob,
    ProviderResult,
    ResultFile,
    SubmitResult,
    SubmitState,
)
from tests.support.books import PostgresBooks
from tests.support.last_try import LastTryAttempts
from tests.support.requests import new_id, request

AN_HOUR = 3600
CANCELED = TerminalState(Status.CANCELED)
FAILED = TerminalState(Status.FAILED, "provider_timed_out")
LOST = TerminalState(Status.FAILED, "workflow_lost", attention="workflow_lost")
# Longer ago than the times of these tests.
_AGE = "UPDATE generations SET created_at = created_at - interval '2 hours' WHERE id = :id"

# As a poll stores the log of a job.
_SAY = """
UPDATE attempts SET progress = jsonb_build_object('said', jsonb_build_object('logs', CAST(:word AS text)))
WHERE generation_id = :id
"""


async def held(books: PostgresBooks, wanted: GenerationRequest) -> AttemptRef:
    """Return a generation whose credits are held."""
    attempt = AttemptRef(await books.add(await books.tenant(10), wanted))
    await PostgresLedger(books.database).reserve(attempt.generation_id)
    return attempt


async def accepted(books: PostgresBooks, wanted: GenerationRequest) -> AttemptRef:
    """Return a generation that its provider has."""
    attempt = await held(books, wanted)
    attempts = LastTryAttempts(books.database)
    await attempts.begin_submit(attempt)
    await attempts.record_accepted(attempt, ProviderJob("job", {}))
    return attempt


def with_controls(**controls: int) -> GenerationRequest:
    return request(controls=Controls(**controls))  # type: ignore[arg-type]  # the times only


@pytest.mark.parametrize(
    ("controls", "result"),
    [
        ({"cancel_after_seconds": AN_HOUR}, SubmitResult(SubmitState.CANCELED)),
        (
            {"start_within_seconds": AN_HOUR},
            SubmitResult(SubmitState.REJECTED, code=NotStartedInTime.code),
        ),
    ],
    ids=["cancel", "start"],
)
async def test_no_submit_begins_after_its_time(
    books: PostgresBooks, controls: dict[str, int], result: SubmitResult
) -> None:
    attempts = LastTryAttempts(books.database)
    early, late = await held(books, with_controls(**controls)), await held(books, with_controls(**controls))
    await books.sql(_AGE, id=late.generation_id)

    assert (await attempts.begin_submit(early)).request is not None
    assert (await attempts.begin_submit(late)).stored == result
    assert await books.sql("SELECT 1 FROM attempts WHERE generation_id = :id", id=late.generation_id) == []


@pytest.mark.parametrize(
    ("control", "state", "status"),
    [
        ("cancel_after_seconds", HoldState.CANCELED, Status.CANCELED),
        ("start_within_seconds", HoldState.NOT_STARTED_IN_TIME, Status.FAILED),
    ],
)
async def test_nothing_is_held_after_its_time(
    books: PostgresBooks, control: str, state: HoldState, status: Status
) -> None:
    generation_id = await books.add(await books.tenant(10), with_controls(**{control: AN_HOUR}))
    await books.sql(_AGE, id=generation_id)

    reservation = await PostgresLedger(books.database).reserve(generation_id)

    assert reservation.state is state
    assert reservation.outcome is not None
    assert reservation.outcome.status is status
    assert await books.transfers(generation_id) == []


async def test_what_a_provider_has_has_started(books: PostgresBooks) -> None:
    attempt = await accepted(books, with_controls(start_within_seconds=AN_HOUR))
    await books.sql(_AGE, id=attempt.generation_id)
    reservation = await PostgresLedger(books.database).reserve(attempt.generation_id)
    assert reservation.state is HoldState.HELD


async def test_storing_does_not_begin_after_its_time_and_goes_on(books: PostgresBooks) -> None:
    assets = PostgresAssets(books.database)
    wanted = with_controls(cancel_after_seconds=AN_HOUR)
    early, late = await accepted(books, wanted), await accepted(books, wanted)
    success = ProviderResult(JobStatus.SUCCEEDED, files=(ResultFile("https://results.test/a"),))
    for attempt in (early, late):
        await LastTryAttempts(books.database).record_result(attempt, success)
    await assets.begin_storing(early, None)
    for attempt in (early, late):
        await books.sql(_AGE, id=attempt.generation_id)

    assert (await assets.begin_storing(early, None)).result is not None
    assert (await assets.begin_storing(late, None)).result is None
    # As after a Reset in Temporal, which begins with the first step.
    reservation = await PostgresLedger(books.database).reserve(early.generation_id)
    assert reservation.state is HoldState.HELD


async def test_who_canceled_it(books: PostgresBooks) -> None:
    ledger, wanted = PostgresLedger(books.database), with_controls(cancel_after_seconds=AN_HOUR)

    async def canceled_by(attempt: AttemptRef) -> CanceledBy | None:
        await ledger.refund(attempt.generation_id, CANCELED)
        return (await books.read(attempt.generation_id)).canceled_by

    operators, clients, deadline, erased = [await accepted(books, wanted) for _ in range(4)]
    await books.cancel(clients.generation_id)
    await books.sql(_AGE, id=deadline.generation_id)
    await books.cancel(deadline.generation_id)  # its time was over by then
    tenant_id = (await books.read(erased.generation_id)).tenant_id
    await request_erasure(books.database, tenant_id, by=SYSTEM)

    found = [await canceled_by(attempt) for attempt in (operators, clients, deadline, erased)]
    assert found == [CanceledBy.OPERATOR, CanceledBy.CLIENT, CanceledBy.DEADLINE, CanceledBy.OPERATOR]


async def test_the_reconciler_finds_what_should_have_ended(books: PostgresBooks) -> None:
    queries = PostgresReconcileQueries(books.database, Catalog({}, {}))
    wanted = with_controls(cancel_after_seconds=AN_HOUR)
    early, late, storing = [await accepted(books, wanted) for _ in range(3)]
    await PostgresAssets(books.database).begin_storing(storing, None)
    for attempt in (late, storing):
        await books.sql(_AGE, id=attempt.generation_id)

    found = await queries.list_past_cancel_at(timedelta(0), 1000)

    mine = {each.input.generation_id: each.cancel_requested for each in found}
    assert mine.get(late.generation_id) is True
    assert not {early.generation_id, storing.generation_id} & mine.keys()


async def completed(books: PostgresBooks, generation_id: str) -> None:
    await books.store(generation_id)
    await PostgresLedger(books.database).settle(generation_id)


async def test_images_go_when_their_time_is_over(books: PostgresBooks) -> None:
    erasure = PostgresErasure(books.database)
    kept, short, long = [
        (await accepted(books, request(controls=Controls(image_lifetime_seconds=seconds)))).generation_id
        for seconds in (None, 60, AN_HOUR)
    ]
    for generation_id in (kept, short, long):
        await completed(books, generation_id)
    made = await books.read(short)
    assert made.finished_at is not None
    assert made.images_expire_at == made.finished_at + timedelta(minutes=1)
    assert (await books.read(kept)).images_expire_at is None
    await books.sql(
        "UPDATE generations SET images_expire_at = images_expire_at - interval '2 minutes'"
        " WHERE id = ANY (:ids)",
        ids=[short, long],
    )

    assert await erasure.erase_expired_images(10) == 1
    assert await erasure.erase_expired_images(10) == 0

    erased = [(await books.read(each)).images_erased_at is not None for each in (kept, short, long)]
    assert erased == [False, True, False]


End = Callable[[PostgresBooks, str], Awaitable[object]]
ENDS: dict[str, End] = {
    "completed": completed,
    "failed": lambda books, each: PostgresLedger(books.database).refund(each, FAILED),
    "canceled": lambda books, each: PostgresLedger(books.database).refund(each, CANCELED),
    "lost": lambda books, each: PostgresLedger(books.database).end_lost(each, LOST),
}


async def tables_with(books: PostgresBooks, word: str) -> list[str]:
    tables = await books.sql("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
    counts = {
        table: await books.sql(
            f"SELECT count(*) FROM {table} AS r WHERE r::text LIKE :word",  # noqa: S608 - our tables
            word=f"%{word}%",
        )
        for (table,) in tables
    }
    return sorted(table for table, [(count,)] in counts.items() if count)


def echoing(word: str) -> ProviderResult:
    """Return a failure whose message repeats the prompt."""
    return ProviderResult(JobStatus.FAILED, code="provider_failed", provider_message=f"no {word}, please")


@pytest.mark.parametrize("way", ENDS)
@pytest.mark.parametrize("keeps_prompt", [True, False])
async def test_a_prompt_that_is_not_to_be_stored_goes_with_the_end(
    books: PostgresBooks, way: str, *, keeps_prompt: bool
) -> None:
    word, attempts = new_id("canary"), LastTryAttempts(books.database)
    wanted = request(word, controls=Controls(keeps_prompt=keeps_prompt))
    other = replace(wanted, provider="replicate", parameters={"n": 1, "prompt": word})
    first = await accepted(books, replace(wanted, fallback=other))
    second = replace(first, ordinal=2)
    await attempts.record_result(first, replace(echoing(word), does_not_charge=True))
    await attempts.begin_submit(second)
    await attempts.record_accepted(second, ProviderJob("job-2", {}))
    await books.sql(_SAY, word=word, id=first.generation_id)
    while_open = await tables_with(books, word)

    await ENDS[way](books, first.generation_id)
    await PostgresInbox(books.database).record_event(
        "replicate", second, ProviderEvent(new_id("event"), "job-2", echoing(word))
    )

    generation = await books.read(first.generation_id)
    assert while_open == ["attempts", "generations"]
    assert await tables_with(books, word) == (while_open if keeps_prompt else [])
    assert generation.is_prompt_erased is not keeps_prompt
    assert generation.request.parameters["n"] == 1


async def test_a_late_refusal_does_not_bring_the_prompt_back(books: PostgresBooks) -> None:
    word, attempts = new_id("canary"), LastTryAttempts(books.database)
    attempt = await held(books, request(word, controls=Controls(keeps_prompt=False)))
    await attempts.begin_submit(attempt)
    await PostgresLedger(books.database).refund(attempt.generation_id, FAILED)

    await attempts.record_rejected(attempt, ProviderRefused(f"no {word}, please"))

    assert await tables_with(books, word) == []
