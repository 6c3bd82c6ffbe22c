"""Every activity on its ports, and those ports on the real adapters."""

from collections.abc import AsyncIterator, Callable, Collection, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field

from activities.assets import AssetActivities, ImageWriter
from activities.batches import BatchActivities
from activities.books import BookActivities
from activities.credits import CreditActivities
from activities.deliveries import DeliveryActivities
from activities.erasure import Eraser
from activities.input_files import InputFileLoader
from activities.lots import LotSweeper
from activities.moderation import ModerationActivities
from activities.partial_images import PartialImageEraser, PartialImageRecorder
from activities.provider import ProviderActivities
from activities.provider_slots import SlotActivities, SlotGranter
from activities.reconcile import ReconcileActivities
from activities.submit import Submitter
from activities.sync_results import SyncResultRecorder
from adapters.database.assets import PostgresAssets
from adapters.database.attempts import PostgresAttempts
from adapters.database.book_checks import PostgresBookChecks
from adapters.database.engine import Database
from adapters.database.erasure import PostgresErasure
from adapters.database.generations import PostgresGenerations
from adapters.database.inbox import PostgresInbox
from adapters.database.input_files import PostgresInputFiles
from adapters.database.ledger import PostgresLedger
from adapters.database.lots import PostgresLots
from adapters.database.partial_images import PostgresPartialImages
from adapters.database.reconcile_queries import PostgresReconcileQueries
from composition.batches import BatchParts, batch_parts
from composition.deliveries import delivery_activities
from composition.providers import input_check, providers, webhook_url, webhook_urls
from composition.repositories import catalog, provider_slots
from composition.settings import ServiceSettings
from composition.storage import object_store, result_decoders, result_images
from domain.ports import (
    Assets,
    Attempts,
    BatchWorkflows,
    Downloader,
    Erasure,
    Generations,
    ImageInspector,
    Inbox,
    InputCheck,
    InputFiles,
    Ledger,
    ObjectStore,
    PartialImages,
    Provider,
    ProviderSlots,
    ReconcileQueries,
    SynchronousProvider,
    WorkflowClient,
)
from domain.ports.book_checks import BookChecks
from domain.ports.lots import Lots
from domain.provider import AttemptRef
from domain.retention import DataKind, Retention


@dataclass(frozen=True)
class Activities:
    """Every activity of the service, each given its ports."""

    credits: CreditActivities
    provider: ProviderActivities
    assets: AssetActivities
    slots: SlotActivities
    moderation: ModerationActivities
    reconcile: ReconcileActivities
    deliveries: DeliveryActivities
    books: BookActivities
    batches: BatchActivities


@dataclass(frozen=True)
class ActivityPorts:
    """What the activities need from outside.

    Attributes:
        limited_providers: Those whose slots the reconciler grants.
        webhook_url: Builds the address at which a provider may report on an attempt; empty if it is not to.
        webhook_urls: Builds every address that it may have been given before.
        account_wide: Providers whose rate limit holds for all models together.
        result_lifetimes: By provider, for how many seconds a result can be fetched.
        tentative_seconds: How long a provider must report a failure that it may not mean.
        retention: How long data is kept.
        stop_grace_seconds: For how long a submit goes on after the worker was told to stop.
    """

    providers: Mapping[str, Provider]
    synchronous: Mapping[str, SynchronousProvider]
    limited_providers: Collection[str]
    webhook_url: Callable[[str, AttemptRef], str]
    webhook_urls: Callable[[str, AttemptRef], Collection[str]]
    input_check: InputCheck | None
    ledger: Ledger
    attempts: Attempts
    assets: Assets
    partial_images: PartialImages
    generations: Generations
    input_files: InputFiles
    inbox: Inbox
    reconcile_queries: ReconcileQueries
    slots: ProviderSlots
    workflows: WorkflowClient
    store: ObjectStore
    downloader: Downloader
    inspector: ImageInspector
    erasure: Erasure
    lots: Lots
    book_checks: BookChecks
    retention: Retention = field(default_factory=lambda: Retention({}))
    account_wide: Collection[str] = ()
    result_lifetimes: Mapping[str, float] = field(default_factory=dict)
    tentative_seconds: float = 60.0
    stop_grace_seconds: float = 25.0


def build_activities(ports: ActivityPorts, deliveries: DeliveryActivities, batches: BatchParts) -> Activities:
    """Build every activity; tests build theirs here too."""
    granter = SlotGranter(ports.slots, ports.workflows)
    writer = ImageWriter(ports.inspector, ports.store)
    submitter = Submitter(
        ports.providers,
        ports.synchronous,
        ports.attempts,
        SyncResultRecorder(ports.attempts, ports.assets, writer),
        PartialImageRecorder(ports.partial_images, ports.inspector, ports.store),
        InputFileLoader(ports.input_files, ports.store),
        granter,
        ports.webhook_url,
        ports.account_wide,
        ports.stop_grace_seconds,
    )
    provider = ProviderActivities(
        ports.providers, ports.attempts, submitter, ports.webhook_urls, ports.tentative_seconds
    )
    return Activities(
        credits=CreditActivities(ports.ledger, granter),
        provider=provider,
        assets=AssetActivities(
            ports.providers,
            ports.attempts,
            ports.assets,
            ports.ledger,
            ports.downloader,
            writer,
            granter,
            ports.result_lifetimes,
        ),
        slots=SlotActivities(granter),
        moderation=ModerationActivities(ports.generations, ports.input_check),
        reconcile=_reconciler(ports, provider, granter, batches),
        deliveries=deliveries,
        books=BookActivities(ports.book_checks),
        batches=batches.activities,
    )


def _reconciler(
    ports: ActivityPorts, provider: ProviderActivities, granter: SlotGranter, batches: BatchParts
) -> ReconcileActivities:
    return ReconcileActivities(
        ports.reconcile_queries,
        ports.workflows,
        ports.ledger,
        ports.inbox,
        ports.store,
        provider,
        ports.input_files,
        granter,
        ports.limited_providers,
        Eraser(ports.erasure, ports.retention),
        PartialImageEraser(ports.partial_images, ports.store),
        LotSweeper(ports.lots),
        batches.repairer,
    )


@asynccontextmanager
async def worker_activities(
    settings: ServiceSettings, workflows: WorkflowClient, batches: BatchWorkflows, database: Database
) -> AsyncIterator[Activities]:
    """Open the activities on the real adapters."""
    models = catalog(settings)
    async with AsyncExitStack() as stack:
        decoders = await stack.enter_async_context(result_decoders(settings))
        found = await stack.enter_async_context(providers(settings, decoders))
        store = await stack.enter_async_context(object_store(settings))
        images = await stack.enter_async_context(result_images(settings, decoders))
        yield build_activities(
            ActivityPorts(
                providers=found.with_jobs,
                synchronous=found.synchronous,
                limited_providers=models.providers.keys(),
                webhook_url=webhook_url(settings),
                webhook_urls=webhook_urls(settings),
                input_check=await stack.enter_async_context(input_check(settings)),
                ledger=PostgresLedger(database),
                attempts=PostgresAttempts(database),
                assets=PostgresAssets(database),
                partial_images=PostgresPartialImages(database),
                generations=PostgresGenerations(database),
                input_files=PostgresInputFiles(database),
                inbox=PostgresInbox(database),
                reconcile_queries=PostgresReconcileQueries(database, models),
                slots=provider_slots(settings, database),
                workflows=workflows,
                store=store,
                downloader=images.downloader,
                inspector=images.inspector,
                erasure=PostgresErasure(database),
                lots=PostgresLots(database),
                book_checks=PostgresBookChecks(database),
                retention=retention(settings),
                result_lifetimes={
                    name: limits.result_lifetime_seconds for name, limits in models.providers.items()
                },
                account_wide=[name for name, limits in models.providers.items() if limits.is_account_wide],
                stop_grace_seconds=settings.worker_grace_seconds,
            ),
            await stack.enter_async_context(delivery_activities(settings, database)),
            batch_parts(settings, database, store, workflows, batches),
        )


def retention(settings: ServiceSettings) -> Retention:
    """Return how long each kind of data is kept where a tenant has nothing of its own."""
    days = {kind: getattr(settings, f"retain_{kind}_days") for kind in DataKind}
    return Retention(days, settings.retain_events_days)
