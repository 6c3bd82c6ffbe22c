"""A repair that fails waits for the next run, and delays no other repair."""

from collections.abc import Mapping
from datetime import timedelta

import pytest
from temporalio.testing import ActivityEnvironment

from adapters.database.attempts import PostgresAttempts
from adapters.database.inbox import PostgresInbox
from adapters.database.ledger import PostgresLedger
from adapters.database.provider_slots import PostgresProviderSlots
from adapters.database.reconcile_queries import PostgresReconcileQueries
from adapters.temporal import TemporalWorkflowClient
from composition.activities import ActivityPorts, build_activities
from composition.repositories import catalog
from domain.errors import TemporalUnavailable, WorkflowLost
from domain.generation import Status
from domain.ports import ObjectStore, Provider, WorkflowState
from domain.provider import ResultSignal
from tests.integration.api.service import Tenant, unique
from tests.integration.reconcile.conftest import NOW, Site, delivered, job_at_work
from tests.support.batches import batch_parts_of
from tests.support.database_ports import database_ports
from tests.support.eventually import eventually
from tests.support.memory_store import MemoryStore
from tests.support.scripted import ScriptedDownloader, ScriptedProvider, TrustingInspector
from tests.support.webhook_sending import delivery_activities_of


class PartlyAway(TemporalWorkflowClient):
    """Temporal that is unavailable for one generation."""

    unanswered: str | None = None

    async def describe_workflow(self, generation_id: str) -> WorkflowState:
        self._refuse(generation_id)
        return await super().describe_workflow(generation_id)

    async def signal_result(self, generation_id: str, signal: ResultSignal) -> bool:
        self._refuse(generation_id)
        return await super().signal_result(generation_id, signal)

    def _refuse(self, generation_id: str) -> None:
        if generation_id == self.unanswered:
            raise TemporalUnavailable


async def reconcile(
    site: Site,
    *,
    unanswered: str | None = None,
    store: ObjectStore | None = None,
    providers: Mapping[str, Provider] | None = None,
    workflows: TemporalWorkflowClient | None = None,
) -> dict[str, int]:
    """Run the activity once on the real database and the given other ports."""
    database = site.service.database
    if workflows is None:
        workflows = PartlyAway(site.temporal, task_timeout=timedelta(seconds=10))
        workflows.unanswered = unanswered
    activities = build_activities(
        ActivityPorts(
            providers=providers or {},
            synchronous={},
            limited_providers=(),
            webhook_url=lambda *_: "",
            **database_ports(database),
            webhook_urls=lambda *_: (),
            input_check=None,
            ledger=PostgresLedger(database),
            attempts=PostgresAttempts(database),
            inbox=PostgresInbox(database),
            reconcile_queries=PostgresReconcileQueries(database, catalog(site.service.settings)),
            slots=PostgresProviderSlots(database, {}),
            workflows=workflows,
            store=store or MemoryStore(),
            downloader=ScriptedDownloader(),
            inspector=TrustingInspector(),
        ),
        delivery_activities_of(database),
        batch_parts_of(database, workflows),
    )
    done: dict[str, int] = await ActivityEnvironment().run(activities.reconcile.reconcile, NOW)
    return {kind: times for kind, times in done.items() if times}


async def test_a_run_that_cannot_be_asked_for_holds_up_no_other(site: Site, tenant: Tenant) -> None:
    async with site.proxy.refusing():
        first, second, third = [await tenant.posted(unique("a lock")) for _ in range(3)]
    repairs = await reconcile(site, unanswered=first["id"])
    for each in (second, third):
        assert (await tenant.ended(each["id"]))["status"] == "completed"

    assert repairs == {"started": 2, "deferred": 1}
    assert not await site.has_run(first["id"])
    assert await site.reconcile() == {"started": 1}
    assert (await tenant.ended(first["id"]))["status"] == "completed"


async def test_a_webhook_that_cannot_be_signaled_delays_no_other(site: Site, tenant: Tenant) -> None:
    prompts = [unique("a sluice [sim:delay_webhook=0.5]") for _ in range(2)]
    first, second = [(await tenant.posted(prompt))["id"] for prompt in prompts]
    for generation_id in (first, second):
        await tenant.generating(generation_id)
    # To the end, or the signals that the API has given up would still get through.
    async with site.proxy.hanging():
        await eventually(lambda: delivered(site.service, *prompts))
        repairs = await reconcile(site, unanswered=first)
        second_job, first_row = await tenant.ended(second), await site.row(first)
        next_repairs = await site.reconcile()
        first_job = await tenant.ended(first)

    assert repairs["webhook_relayed"] == 1
    assert first_row.status is Status.PROCESSING
    assert next_repairs == {"webhook_relayed": 1}
    assert (first_job["status"], second_job["status"]) == ("completed", "completed")


async def test_a_store_that_is_away_holds_up_no_start(site: Site, tenant: Tenant) -> None:
    broken = await tenant.posted(unique("a weir [sim:wrong_bytes]"))
    assert (await tenant.ended(broken["id"]))["error"]["code"] == "result_unusable"
    async with site.proxy.refusing():
        posted = await tenant.posted(unique("a dam"))
    repairs = await reconcile(site, store=MemoryStore(is_away=True))

    assert repairs == {"started": 1, "deferred": 1}
    assert (await tenant.ended(posted["id"]))["status"] == "completed"


@pytest.mark.parametrize("provider", ["switched off", "broken"])
async def test_a_lost_run_is_refunded_although_its_provider_cannot_be_canceled(
    site: Site, tenant: Tenant, provider: str
) -> None:
    generation_id = await job_at_work(tenant, unique("a pond [sim:hang]"))
    await site.run(generation_id).terminate("a test")

    # A provider without a script for this prompt raises an unexpected error.
    repairs = await reconcile(
        site, providers={} if provider == "switched off" else {"fal": ScriptedProvider()}
    )

    assert repairs == {"workflow_lost": 1}
    assert (await tenant.ended(generation_id))["error"]["code"] == WorkflowLost.code
    assert await tenant.credits() == (100, 0, 0)


class EndsMeanwhile(TemporalWorkflowClient):
    """Temporal that responds about a generation only after its run has ended."""

    tenant: Tenant
    was_asked: bool = False

    async def describe_workflow(self, generation_id: str) -> WorkflowState:
        self.was_asked = True
        await self.tenant.ended(generation_id)
        return WorkflowState(exists=True, running=False)


async def test_what_ends_while_it_is_looked_at_is_not_taken_for_lost(site: Site, tenant: Tenant) -> None:
    generation_id = await job_at_work(tenant, unique("a brook [sim:delay_webhook=2]"))
    runs = EndsMeanwhile(site.temporal, task_timeout=timedelta(seconds=10))
    runs.tenant = tenant

    async def was_looked_at() -> bool:
        """Reconcile until it looks at the row: one that another transaction locks is left to the next run."""
        assert await reconcile(site, workflows=runs) == {}
        return runs.was_asked

    await eventually(was_looked_at)
    assert (await site.row(generation_id)).needs_attention is None
    assert await site.service.transfers(generation_id) == ["hold", "settle"]


async def test_a_part_that_fails_hides_no_other(
    site: Site, tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(*_: object, **__: object) -> None:
        raise RuntimeError("a query that times out")

    for query in ("list_unrelayed", "list_to_cancel", "flag_stalled"):
        monkeypatch.setattr(PostgresReconcileQueries, query, broken)
    async with site.proxy.refusing():
        posted = await tenant.posted(unique("a mill"))

    assert await reconcile(site) == {"started": 1}
    assert (await tenant.ended(posted["id"]))["status"] == "completed"
