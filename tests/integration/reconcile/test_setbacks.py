"""One repair that fails: it waits for the next run, and no other repair waits with it."""

from collections.abc import Mapping
from datetime import timedelta

import pytest
from temporalio.testing import ActivityEnvironment

import composition
from activities.assets import ImageWriter
from activities.provider import InputFileLoader, ProviderActivities, SyncResultRecorder
from activities.provider_slots import SlotGranter
from activities.reconcile import ReconcileActivities
from adapters.database.assets import PostgresAssets
from adapters.database.attempts import PostgresAttempts
from adapters.database.inbox import PostgresInbox
from adapters.database.input_files import PostgresInputFiles
from adapters.database.ledger import PostgresLedger
from adapters.database.provider_slots import PostgresProviderSlots
from adapters.database.reconcile_queries import PostgresReconcileQueries
from adapters.temporal import TemporalWorkflowClient
from domain.errors import TemporalUnavailable, WorkflowLost
from domain.generation import Status
from domain.ports import ObjectStore, Provider, WorkflowState
from domain.provider import ResultSignal
from tests.integration.api.service import Tenant, unique
from tests.integration.reconcile.conftest import NOW, Site, delivered, job_at_work
from tests.support.eventually import eventually
from tests.support.memory_store import MemoryStore
from tests.support.scripted import ScriptedProvider, TrustingInspector


class PartlyAway(TemporalWorkflowClient):
    """Temporal, which answers for every generation but one."""

    unanswered: str | None = None

    async def state(self, generation_id: str) -> WorkflowState:
        self._refuse(generation_id)
        return await super().state(generation_id)

    async def report(self, generation_id: str, signal: ResultSignal) -> bool:
        self._refuse(generation_id)
        return await super().report(generation_id, signal)

    def _refuse(self, generation_id: str) -> None:
        if generation_id == self.unanswered:
            raise TemporalUnavailable


async def reconcile(
    site: Site,
    *,
    unanswered: str | None = None,
    store: ObjectStore | None = None,
    providers: Mapping[str, Provider] | None = None,
    runs: TemporalWorkflowClient | None = None,
) -> dict[str, int]:
    """One run of the activity on the real database, with what surrounds it as the test wants it."""
    database = site.service.database
    if runs is None:
        runs = PartlyAway(site.temporal, task_timeout=timedelta(seconds=10))
        runs.unanswered = unanswered
    attempts, files = PostgresAttempts(database), PostgresInputFiles(database)
    own_store = store or MemoryStore()
    door = SlotGranter(PostgresProviderSlots(database, {}), runs)
    keeper = ImageWriter(TrustingInspector(), own_store)
    synchronous = SyncResultRecorder({}, attempts, PostgresAssets(database), keeper)
    inputs = InputFileLoader(files, own_store)
    activities = ReconcileActivities(
        PostgresReconcileQueries(database, composition.catalog(site.service.settings)),
        runs,
        PostgresLedger(database),
        PostgresInbox(database),
        own_store,
        ProviderActivities(providers or {}, synchronous, attempts, inputs, door, lambda *_: ""),
        files,
        door,
        (),
    )
    done: dict[str, int] = await ActivityEnvironment().run(activities.reconcile, NOW)
    return {kind: times for kind, times in done.items() if times}


async def test_a_run_that_cannot_be_asked_for_holds_up_no_other(site: Site, tenant: Tenant) -> None:
    async with site.gate.refusing():
        first, second, third = [await tenant.posted(unique("a lock")) for _ in range(3)]
    repairs = await reconcile(site, unanswered=first["id"])
    for each in (second, third):
        assert (await tenant.ended(each["id"]))["status"] == "completed"

    assert repairs == {"started": 2, "put_off": 1}
    assert not await site.has_run(first["id"])
    assert await site.reconcile() == {"started": 1}
    assert (await tenant.ended(first["id"]))["status"] == "completed"


async def test_a_webhook_that_cannot_be_told_holds_up_no_other(site: Site, tenant: Tenant) -> None:
    prompts = [unique("a sluice [sim:delay_webhook=0.5]") for _ in range(2)]
    first, second = [(await tenant.posted(prompt))["id"] for prompt in prompts]
    for generation_id in (first, second):
        await tenant.generating(generation_id)
    # To the end, or the signals that the API has given up would still get through.
    async with site.gate.hanging():
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
    async with site.gate.refusing():
        posted = await tenant.posted(unique("a dam"))
    repairs = await reconcile(site, store=MemoryStore(is_away=True))

    assert repairs == {"started": 1, "put_off": 1}
    assert (await tenant.ended(posted["id"]))["status"] == "completed"


@pytest.mark.parametrize("provider", ["switched off", "broken"])
async def test_a_lost_run_is_refunded_although_its_provider_cannot_be_called_off(
    site: Site, tenant: Tenant, provider: str
) -> None:
    generation_id = await job_at_work(tenant, unique("a pond [sim:hang]"))
    await site.run(generation_id).terminate("a test")

    # A provider without a script for this prompt breaks in a way that nobody has foreseen.
    repairs = await reconcile(
        site, providers={} if provider == "switched off" else {"fal": ScriptedProvider()}
    )

    assert repairs == {"workflow_lost": 1}
    assert (await tenant.ended(generation_id))["error"]["code"] == WorkflowLost.code
    assert await tenant.credits() == (100, 0, 0)


class EndsMeanwhile(TemporalWorkflowClient):
    """Temporal, asked about a generation just too late: it answers when the run has ended."""

    tenant: Tenant

    async def state(self, generation_id: str) -> WorkflowState:
        await self.tenant.ended(generation_id)
        return WorkflowState(exists=True, running=False)


async def test_what_ends_while_it_is_looked_at_is_not_taken_for_lost(site: Site, tenant: Tenant) -> None:
    generation_id = await job_at_work(tenant, unique("a brook [sim:delay_webhook=0.5]"))
    runs = EndsMeanwhile(site.temporal, task_timeout=timedelta(seconds=10))
    runs.tenant = tenant

    assert await reconcile(site, runs=runs) == {}
    assert (await site.row(generation_id)).needs_attention is None
    assert await site.service.transfers(generation_id) == ["hold", "settle"]
