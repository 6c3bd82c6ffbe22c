"""How long the last jobs of a model took, from their rows."""

from datetime import UTC, datetime

import pytest

from adapters.database.durations import PostgresDurations
from domain.durations import ModelDurations, Percentiles, Phase
from tests.support.books import PostgresBooks
from tests.support.requests import new_id

NOW = datetime(2026, 1, 15, 12, 0, tzinfo=UTC)


@pytest.fixture
def model() -> str:
    """Return a model that only this test uses."""
    return new_id("model")


@pytest.fixture
async def tenants(owners_books: PostgresBooks) -> list[str]:
    return [await owners_books.tenant() for _ in range(2)]


# Jobs of both tenants that waited 1 s, took 10 s, 11 s, … and 2 s to store, each with two attempts.
# The moment of `processing` is that of storing, as at a synchronous provider.
JOBS = """
    INSERT INTO generations (id, tenant_id, fingerprint, model, provider, endpoint, prompt, parameters,
        metadata, n, price_credits, status, stage, created_at, queued_at, processing_at, storing_at,
        finished_at)
    SELECT CAST(:model AS text) || '_' || n, CASE n % 2 WHEN 0 THEN :one ELSE :two END, 'f', :model, 'fal',
        'e', 'p', '{}', '{}', 1, 0, 'completed', 'completed', moment, moment + interval '0.5 s',
        moment + (n + 11.5) * interval '1 s', moment + (n + 11.5) * interval '1 s',
        moment + (n + 13.5) * interval '1 s'
    FROM (
        SELECT n, CAST(:now AS timestamptz) + n * interval '1 minute' AS moment
        FROM generate_series(0, CAST(:count AS bigint) - 1) AS n
    ) AS made
"""
ATTEMPTS = """
    INSERT INTO attempts (generation_id, ordinal, provider, endpoint, state, started_at)
    SELECT id, ordinal, 'fal', 'e', 'sending', queued_at + ordinal * interval '0.5 s'
    FROM generations, unnest(ARRAY[1, 2]) AS ordinal WHERE model = :model
"""


async def completed(books: PostgresBooks, model: str, tenants: list[str], count: int) -> None:
    await books.sql(JOBS, model=model, one=tenants[0], two=tenants[1], now=NOW, count=count)
    await books.sql(ATTEMPTS, model=model)


async def test_below_20_jobs_nothing_is_told(
    books: PostgresBooks, owners_books: PostgresBooks, model: str, tenants: list[str]
) -> None:
    durations = PostgresDurations(books.database)
    assert await durations.measure_durations(model) == ModelDurations(0)
    await completed(owners_books, model, tenants, 19)
    assert await durations.measure_durations(model) == ModelDurations(19)


async def test_percentiles_are_of_all_tenants_and_of_the_last_attempt(
    books: PostgresBooks, owners_books: PostgresBooks, model: str, tenants: list[str]
) -> None:
    await completed(owners_books, model, tenants, 21)
    measured = await PostgresDurations(books.database).measure_durations(model)
    assert measured.samples == 21
    assert measured.by_phase == {
        Phase.QUEUE: Percentiles(1.0, 1.0),
        Phase.GENERATING: Percentiles(20.0, 29.0),
        Phase.STORING: Percentiles(2.0, 2.0),
        Phase.TOTAL: Percentiles(23.5, 32.5),
    }


async def test_only_the_last_200_count(
    books: PostgresBooks, owners_books: PostgresBooks, model: str, tenants: list[str]
) -> None:
    await completed(owners_books, model, tenants, 201)
    measured = await PostgresDurations(books.database).measure_durations(model)
    assert measured.samples == 200
    # Without the first, which took 10 s.
    assert measured.by_phase[Phase.GENERATING].p50 == pytest.approx(110.5)
