"""Provider costs for operators: every attempt once, and the part without a delivered image."""

import asyncio
import json
import os
import sys
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from adapters.database.costs import CostLine, cost_lines
from adapters.database.ledger import PostgresLedger
from domain.errors import InvalidInput, ProviderFailed, ProviderTimedOut
from domain.generation import GenerationRequest, Status, TerminalState
from domain.provider import AttemptRef, JobStatus, ProviderCost, ProviderJob, ProviderResult, ResultFile
from tests.support.books import PostgresBooks
from tests.support.last_try import LastTryAttempts
from tests.support.requests import new_id, request
from tests.support.time_limits import scaled

ROOT = Path(__file__).parents[2]
# In the middle of a day, so that no test runs over its end.
YESTERDAY = datetime.now(UTC).replace(hour=12) - timedelta(days=1)
FAILED = ProviderResult(JobStatus.FAILED, code=ProviderFailed.code)
TIMED_OUT = TerminalState(Status.FAILED, ProviderTimedOut.code)
_COMMAND_SECONDS = 30


@pytest.fixture
def provider() -> str:
    """Return a provider that only this test uses."""
    return new_id("provider")


@pytest.fixture
def attempts(books: PostgresBooks) -> LastTryAttempts:
    return LastTryAttempts(books.database)


def success(amount: str, unit: str = "token") -> ProviderResult:
    files = (ResultFile("https://results.test/a.png"),)
    return ProviderResult(JobStatus.SUCCEEDED, files=files, cost=ProviderCost(Decimal(amount), unit))


async def accepted(books: PostgresBooks, wanted: GenerationRequest) -> AttemptRef:
    """Return a generation whose first provider has accepted the job."""
    attempt = AttemptRef(await books.add(await books.tenant(10), wanted))
    await PostgresLedger(books.database).reserve(attempt.generation_id)
    await begun(books, attempt)
    return attempt


async def begun(books: PostgresBooks, attempt: AttemptRef) -> None:
    attempts = LastTryAttempts(books.database)
    assert (await attempts.begin_submit(attempt)).request is not None
    await attempts.record_accepted(attempt, ProviderJob(new_id("job"), {}))


async def delivered(books: PostgresBooks, attempt: AttemptRef) -> None:
    await books.store(attempt.generation_id)
    outcome = await PostgresLedger(books.database).settle(attempt.generation_id)
    assert outcome.status is Status.COMPLETED


async def refunded(books: PostgresBooks, attempt: AttemptRef) -> None:
    await PostgresLedger(books.database).refund(attempt.generation_id, TIMED_OUT)


async def begun_at(books: PostgresBooks, provider: str, moment: datetime) -> None:
    await books.sql(
        "UPDATE attempts SET started_at = :moment WHERE provider = :provider",
        moment=moment,
        provider=provider,
    )


async def lines_of(books: PostgresBooks, provider: str) -> list[CostLine]:
    """Return the report's lines of one provider, whose attempts were all made yesterday."""
    await begun_at(books, provider, YESTERDAY)
    return [line for line in await cost_lines(books.database, 7) if line.provider == provider]


def line(
    provider: str, attempts: int, undelivered: int, cost: str | None, lost: str | None, unit: str | None
) -> CostLine:
    exact = [amount and Decimal(amount) for amount in (cost, lost)]
    return CostLine(
        YESTERDAY.date(), provider, unit, attempts, undelivered, exact[0] or None, exact[1] or None
    )


async def test_what_was_delivered_is_no_loss(
    books: PostgresBooks, attempts: LastTryAttempts, provider: str
) -> None:
    for amount in ("0.1", "0.2"):
        attempt = await accepted(books, request(provider=provider))
        await attempts.record_result(attempt, success(amount))
        await delivered(books, attempt)

    assert await lines_of(books, provider) == [line(provider, 2, 0, "0.3", None, "token")]


async def test_a_job_that_failed_and_cost_is_a_loss(
    books: PostgresBooks, attempts: LastTryAttempts, provider: str
) -> None:
    attempt = await accepted(books, request(provider=provider))
    await attempts.record_result(attempt, replace(FAILED, cost=ProviderCost(Decimal(2), "token")))
    await refunded(books, attempt)

    assert await lines_of(books, provider) == [line(provider, 1, 1, "2", "2", "token")]


async def test_a_result_that_comes_late_is_a_loss(
    books: PostgresBooks, attempts: LastTryAttempts, provider: str
) -> None:
    attempt = await accepted(books, request(provider=provider))
    await refunded(books, attempt)
    await attempts.record_result(attempt, success("3.5"))

    assert await lines_of(books, provider) == [line(provider, 1, 1, "3.5", "3.5", "token")]


async def test_each_provider_of_a_generation_with_a_fallback_has_its_own_line(
    books: PostgresBooks, attempts: LastTryAttempts, provider: str
) -> None:
    other = new_id("provider")
    first = await accepted(books, replace(request(provider=provider), fallback=request(provider=other)))
    await attempts.record_result(first, replace(FAILED, does_not_charge=True))
    second = AttemptRef(first.generation_id, 2)
    await begun(books, second)
    await attempts.record_result(second, success("4"))
    await delivered(books, second)

    assert await lines_of(books, provider) == [line(provider, 1, 1, None, None, None)]
    assert await lines_of(books, other) == [line(other, 1, 0, "4", None, "token")]


async def test_a_late_result_of_the_first_provider_is_a_cost_without_a_delivered_image(
    books: PostgresBooks, attempts: LastTryAttempts, provider: str
) -> None:
    other = new_id("provider")
    first = await accepted(books, replace(request(provider=provider), fallback=request(provider=other)))
    await attempts.record_result(first, replace(FAILED, does_not_charge=True))
    second = AttemptRef(first.generation_id, 2)
    await begun(books, second)
    await attempts.record_result(first, success("5"))
    await attempts.record_result(second, success("4"))
    await delivered(books, second)

    assert await lines_of(books, provider) == [line(provider, 1, 1, "5", "5", "token")]
    assert await lines_of(books, other) == [line(other, 1, 0, "4", None, "token")]


async def test_what_was_not_sent_is_no_part_of_what_another_provider_delivered(
    books: PostgresBooks, attempts: LastTryAttempts, provider: str
) -> None:
    other = new_id("provider")
    wanted = replace(request(provider=provider), fallback=request(provider=other))
    first = AttemptRef(await books.add(await books.tenant(10), wanted))
    await PostgresLedger(books.database).reserve(first.generation_id)
    await attempts.begin_submit(first)
    await attempts.record_not_sent(first)
    second = AttemptRef(first.generation_id, 2)
    await begun(books, second)
    await attempts.record_result(second, success("4"))
    await delivered(books, second)

    assert await lines_of(books, provider) == [line(provider, 1, 1, None, None, None)]
    assert await lines_of(books, other) == [line(other, 1, 0, "4", None, "token")]


async def test_a_submit_that_was_refused_counts_without_a_cost(
    books: PostgresBooks, attempts: LastTryAttempts, provider: str
) -> None:
    attempt = AttemptRef(await books.add(await books.tenant(10), request(provider=provider)))
    await PostgresLedger(books.database).reserve(attempt.generation_id)
    await attempts.begin_submit(attempt)
    await attempts.record_rejected(attempt, InvalidInput("words"))
    await refunded(books, attempt)

    assert await lines_of(books, provider) == [line(provider, 1, 1, None, None, None)]


async def test_different_measures_are_never_added_up(
    books: PostgresBooks, attempts: LastTryAttempts, provider: str
) -> None:
    for unit in ("bfl_credit", "token"):
        attempt = await accepted(books, request(provider=provider))
        await attempts.record_result(attempt, success("1", unit))
        await delivered(books, attempt)

    assert await lines_of(books, provider) == [
        line(provider, 1, 0, "1", None, "bfl_credit"),
        line(provider, 1, 0, "1", None, "token"),
    ]


async def test_only_the_last_days_are_listed_each_separately(books: PostgresBooks, provider: str) -> None:
    await accepted(books, request(provider=provider))
    moment = YESTERDAY - timedelta(days=2)
    await begun_at(books, provider, moment)

    async def days(most: int) -> list[date]:
        return [found.day for found in await cost_lines(books.database, most) if found.provider == provider]

    assert (await days(2), await days(5)) == ([], [moment.date()])


async def test_the_command_prints_exact_numbers(
    books: PostgresBooks, attempts: LastTryAttempts, provider: str, database_url: str
) -> None:
    attempt = await accepted(books, request(provider=provider))
    await attempts.record_result(attempt, success("0.1"))
    await delivered(books, attempt)
    await begun_at(books, provider, YESTERDAY)
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "admin", "costs", "--days", "2"),
        cwd=ROOT,
        env=os.environ
        | {
            "MASTER_KEY": "a master key that only these tests use",
            "DATABASE_URL": database_url,
            "S3_ACCESS_KEY": "nobody",
            "S3_SECRET_KEY": "nothing",
        },
        stdout=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(scaled(_COMMAND_SECONDS)):
        printed, _ = await process.communicate()

    assert process.returncode == 0
    assert [found for found in json.loads(printed)["costs"] if found["provider"] == provider] == [
        {
            "day": YESTERDAY.date().isoformat(),
            "provider": provider,
            "unit": "token",
            "attempts": 1,
            "undelivered": 0,
            "cost": "0.1",
            "undelivered_cost": None,
        }
    ]
