"""Batches in tests: what they are made of, and what runs them on the real database."""

from dataclasses import replace
from typing import Any

from activities.batch_passes import Pace
from adapters.database.engine import Database
from adapters.database.tenants import PostgresTenants
from composition.batches import BatchParts, BatchRules, build_batch_parts
from domain.auth import Scope
from domain.batches import BatchDraft, BatchInput, BatchItemDraft, ItemRequest
from domain.catalog import Catalog
from domain.generation import GenerationInput
from domain.ports import BatchWorkflows, ObjectStore, WorkflowClient, WorkflowState
from domain.tenant import TenantLimits
from tests.support.memory_store import MemoryStore
from tests.support.small_models import small_catalog
from tests.support.webhook_sending import KEYRING

LIMITS = TenantLimits()
# Of the model `maker` of the small catalog.
PRICE_CREDITS = 3
QUICK = Pace(pass_seconds=0.0)


class StartedWorkflows:
    """Workflows of generations and of batches that are noted, and never run."""

    def __init__(self) -> None:
        self.started: list[GenerationInput] = []
        self.canceled: list[str] = []
        self.batches: dict[str, WorkflowState] = {}

    async def start_workflow(self, generation: GenerationInput, title: str) -> None:
        self.started.append(generation)

    async def signal_cancel(self, generation_id: str) -> bool:
        self.canceled.append(generation_id)
        return True

    async def start_batch(self, batch: BatchInput) -> None:
        self.batches[batch.batch_id] = WorkflowState(exists=True, running=True)

    async def signal_batch_cancel(self, batch_id: str) -> bool:
        return batch_id in self.batches

    async def describe_batch(self, batch_id: str) -> WorkflowState:
        return self.batches.get(batch_id, WorkflowState(exists=False, running=False))


def batch_parts_of(
    database: Database,
    workflows: Any = None,
    batches: BatchWorkflows | None = None,
    *,
    catalog: Catalog | None = None,
    store: ObjectStore | None = None,
    limits: TenantLimits = LIMITS,
    pace: Pace = QUICK,
) -> BatchParts:
    """Return what runs batches. workflows: those of generations, and of batches where these are not given."""
    started: WorkflowClient = workflows or StartedWorkflows()  # type: ignore[assignment]  # two of its calls
    rules = BatchRules(catalog or small_catalog(), limits, KEYRING)
    return build_batch_parts(
        rules, database, store or MemoryStore(), started, batches or StartedWorkflows(), pace
    )


def item(index: int = 0, *, prompt: str = "a fox", key: str | None = None, **request: Any) -> BatchItemDraft:
    asked = ItemRequest(request.pop("model", "maker"), {"prompt": prompt}, **request)
    return BatchItemDraft(index, f"item-{index}", asked, PRICE_CREDITS, key)


def items(count: int) -> list[BatchItemDraft]:
    return [item(index, prompt=f"fox {index}") for index in range(count)]


async def batch_of(database: Database, tenant_id: str, *drafts: BatchItemDraft, **fields: Any) -> BatchDraft:
    """Return a batch of the tenant, of a key of its own."""
    key = await PostgresTenants(database).create_key(tenant_id, list(Scope))
    draft = BatchDraft(tenant_id, key.key_id, 10, items=drafts)
    return replace(draft, **fields)
