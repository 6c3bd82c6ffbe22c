"""A commit whose answer is lost: nobody is told to try again who would then pay twice."""

from collections.abc import Sequence
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import Row

from adapters.database.generations import PostgresGenerations
from domain.errors import DatabaseUnavailable
from tests.integration.api.service import Service, Tenant, unique


@pytest.fixture
def lost_answers(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Commit each new generation, and lose PostgreSQL's answer; `undo` ends that."""
    insert = PostgresGenerations._insert

    async def insert_unheard(self: PostgresGenerations, *given: Any) -> Sequence[Row[Any]]:
        await insert(self, *given)
        lost = DatabaseUnavailable()
        lost.may_be_committed = True
        raise lost

    monkeypatch.setattr(PostgresGenerations, "_insert", insert_unheard)
    return monkeypatch


async def test_with_a_key_the_same_request_finds_the_job(
    service: Service, tenant: Tenant, lost_answers: pytest.MonkeyPatch
) -> None:
    prompt, key = unique("unheard"), uuid4().hex
    unknown = await tenant.post(prompt, key)
    assert (unknown.status_code, unknown.json()["code"]) == (503, "outcome_unknown")
    assert (unknown.headers["X-Should-Retry"], unknown.json()["retryable"]) == ("true", True)
    assert unknown.json()["charged"] is None
    lost_answers.undo()
    again = await tenant.post(prompt, key)
    assert (again.status_code, again.json()["id"]) == (202, unknown.json()["generation_id"])
    assert await service.generations_of(tenant) == 1
    assert (await tenant.ended(again.json()["id"]))["status"] == "completed"


async def test_without_a_key_the_answer_names_the_job_and_no_repeat(
    service: Service, tenant: Tenant, lost_answers: pytest.MonkeyPatch
) -> None:
    unknown = await tenant.post(unique("unheard"))
    assert unknown.status_code == 503
    assert (unknown.headers["X-Should-Retry"], unknown.json()["retryable"]) == ("false", False)
    lost_answers.undo()
    job = await tenant.get(unknown.headers["Location"])
    assert job["id"] == unknown.json()["generation_id"]
    assert await service.generations_of(tenant) == 1
    await tenant.http.post(f"{unknown.headers['Location']}/cancel")


async def test_a_start_that_breaks_does_not_hide_the_job(
    service: Service, tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A bug after the row exists is ours; the reconciler starts the job."""

    async def broken(*_: object) -> None:
        raise RuntimeError("a bug of ours")

    monkeypatch.setattr("adapters.temporal.TemporalWorkflowClient.start_workflow", broken)
    accepted = await tenant.post(unique("not started"))
    assert accepted.status_code == 202
    monkeypatch.undo()
    await tenant.http.post(f"/v1/generations/{accepted.json()['id']}/cancel")
