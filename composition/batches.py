"""What runs batches, on the real adapters."""

from dataclasses import dataclass

from activities.batch_files import BatchFileChecker
from activities.batch_items import ItemStarter
from activities.batch_passes import BatchPasses, Pace
from activities.batch_repairs import BatchRepairer
from activities.batches import BatchActivities
from adapters.database.batch_files import PostgresBatchFiles
from adapters.database.batch_runs import PostgresBatchRuns
from adapters.database.engine import Database
from adapters.database.generations import PostgresGenerations
from adapters.database.input_files import PostgresInputFiles
from adapters.database.key_lists import PostgresKeyLists
from adapters.database.tenant_usage import PostgresTenantUsages
from adapters.database.used_keys import PostgresUsedKeys
from composition.repositories import catalog
from composition.settings import ServiceSettings, keyring, tenant_limits
from domain.batch_lines import CatalogLineParser
from domain.catalog import Catalog
from domain.keyring import Keyring
from domain.ports import BatchWorkflows, ObjectStore, WorkflowClient
from domain.tenant import TenantLimits


@dataclass(frozen=True)
class BatchParts:
    """What the workflows of batches call, and what the reconciler does for them."""

    activities: BatchActivities
    repairer: BatchRepairer


@dataclass(frozen=True)
class BatchRules:
    """What decides which items are made. webhook_origins: as in `check_webhook_url`."""

    catalog: Catalog
    limits: TenantLimits
    keyring: Keyring
    webhook_origins: tuple[str, ...] = ()


def batch_parts(
    settings: ServiceSettings,
    database: Database,
    store: ObjectStore,
    workflows: WorkflowClient,
    batches: BatchWorkflows,
) -> BatchParts:
    rules = BatchRules(
        catalog(settings), tenant_limits(settings), keyring(settings), settings.delivery_origins
    )
    return build_batch_parts(rules, database, store, workflows, batches)


def build_batch_parts(
    rules: BatchRules,
    database: Database,
    store: ObjectStore,
    workflows: WorkflowClient,
    batches: BatchWorkflows,
    pace: Pace | None = None,
) -> BatchParts:
    """Build them; tests build theirs here too."""
    runs, generations = PostgresBatchRuns(database), PostgresGenerations(database)
    usages = PostgresTenantUsages(database)
    checker = BatchFileChecker(
        PostgresBatchFiles(database),
        store,
        usages,
        PostgresKeyLists(database),
        PostgresUsedKeys(database),
        CatalogLineParser(rules.catalog, rules.webhook_origins),
    )
    items = ItemStarter(runs, generations, PostgresInputFiles(database), rules.catalog, rules.keyring)
    passes = BatchPasses(runs, items, generations, workflows, usages, rules.catalog, rules.limits, pace)
    return BatchParts(BatchActivities(checker, passes), BatchRepairer(runs, batches))
