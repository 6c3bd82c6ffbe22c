"""The daily check: all tenants, in steps, on from where a step failed, in histories that stay short."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta

import pytest
from temporalio.client import Client
from temporalio.worker import Worker, WorkflowRunner
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner

from activities.books import BookActivities
from activities.interceptors import FailureMappingInterceptor
from admin.schedules import schedule_book_check
from devstack.servers.running import Servers
from domain import temporal_names
from domain.books import BookCheck, BooksProgress, Disagreement
from domain.errors import DatabaseUnavailable
from runtime.workflow_runner import PRODUCTION_RUNNER
from tests.conftest import namespaced_client
from tests.support.requests import new_id
from tests.support.time_limits import scaled
from workflows.books import CheckBooksWorkflow


@dataclass
class Checks:
    """Tenants of which some disagree. away: how many calls fail first."""

    tenants: Sequence[str]
    disagreeing: Mapping[str, BookCheck] = field(default_factory=dict)
    away: int = 0
    checked: list[str] = field(default_factory=list)
    recorded: list[tuple[int, Mapping[str, int]]] = field(default_factory=list)

    async def list_tenants(self, after: str, limit: int) -> Sequence[str]:
        return [each for each in self.tenants if each > after][:limit]

    async def check_tenants(self, tenant_ids: Sequence[str], *, whole: bool = False) -> list[Disagreement]:
        assert not whole
        if self.away:
            self.away -= 1
            raise DatabaseUnavailable
        self.checked += tenant_ids
        found = [each for each in tenant_ids if each in self.disagreeing]
        return [Disagreement(self.disagreeing[each], each, each, 1, 2) for each in found]

    async def record_check(self, tenants: int, disagreements: Mapping[str, int]) -> None:
        self.recorded.append((tenants, dict(disagreements)))


@pytest.fixture(scope="session")
async def client(servers: Servers) -> Client:
    """Return a client where nobody else serves the queue."""
    return await namespaced_client(servers, new_id("books"))


async def check(
    client: Client, checks: Checks, runner: WorkflowRunner | None = None
) -> tuple[BooksProgress, str, str | None]:
    """Check all; return what was found, and the ids of the first run and of the last."""
    worker = Worker(
        client,
        task_queue=temporal_names.RECONCILE_QUEUE,
        workflows=[CheckBooksWorkflow],
        activities=[BookActivities(checks).check_books],
        interceptors=[FailureMappingInterceptor()],
        workflow_runner=runner or SandboxedWorkflowRunner(),
    )
    async with worker:
        handle = await client.start_workflow(
            CheckBooksWorkflow.run,
            BooksProgress(),
            id=new_id("check-books"),
            task_queue=temporal_names.RECONCILE_QUEUE,
            execution_timeout=timedelta(seconds=scaled(60)),
        )
        done = await handle.result()
        last = (await client.get_workflow_handle(handle.id).describe()).run_id
        assert handle.first_execution_run_id is not None
        return done, handle.first_execution_run_id, last


async def test_all_tenants_are_checked_once_and_what_was_found_is_recorded(client: Client) -> None:
    tenants = [f"ten_{number:03}" for number in range(25)]
    checks = Checks(tenants, {"ten_004": BookCheck.LOT, "ten_017": BookCheck.LOT, "ten_024": BookCheck.HELD})
    done, first, last = await check(client, checks)
    assert checks.checked == tenants
    assert checks.recorded == [(25, {"lot": 2, "held": 1})]
    assert (done.is_done, done.tenants, done.disagreements) == (True, 25, {"lot": 2, "held": 1})
    assert first == last


async def test_a_database_that_is_away_delays_the_check(client: Client) -> None:
    checks = Checks(["ten_1"], away=2)
    assert (await check(client, checks))[0].is_done
    assert checks.recorded == [(1, {})]


async def test_without_tenants_there_is_a_check_all_the_same(client: Client) -> None:
    checks = Checks([])
    await check(client, checks)
    assert checks.recorded == [(0, {})]


async def test_many_tenants_take_many_steps_and_runs(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("activities.books._PART_SECONDS", -1.0)
    monkeypatch.setattr("workflows.books._STEPS_PER_RUN", 2)
    tenants = [f"ten_{number:03}" for number in range(75)]
    checks = Checks(tenants, {"ten_004": BookCheck.LOT, "ten_071": BookCheck.LOT})
    done, first, last = await check(client, checks, PRODUCTION_RUNNER)
    assert checks.checked == tenants
    assert checks.recorded == [(75, {"lot": 2})]
    assert done.is_done
    assert first != last


async def test_the_schedule_is_made_once_and_stays_paused(client: Client) -> None:
    await schedule_book_check(client)
    handle = client.get_schedule_handle(temporal_names.CHECK_BOOKS_SCHEDULE)
    await handle.pause()
    await schedule_book_check(client)
    schedule = (await handle.describe()).schedule
    assert schedule.state.paused
    assert [each.every for each in schedule.spec.intervals] == [timedelta(days=1)]
    await handle.delete()
