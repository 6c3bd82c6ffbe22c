"""What workflows, activities and routes need from outside: one file per aggregate."""

from domain.ports.assets import Assets, ResultToStore, StoringStart
from domain.ports.attempts import AttemptRecord, Attempts, Inbox, SubmitPermit, WebhookReceipt
from domain.ports.batch_runs import BatchFiles, BatchRuns
from domain.ports.batches import Batches, BatchWorkflows, UsedKeys
from domain.ports.books import Books
from domain.ports.credits import Authenticator, CreditAccounts, Ledger
from domain.ports.durations import DurationHistory
from domain.ports.erasure import Erasure
from domain.ports.events import EventLog, LogTail
from domain.ports.generations import Generations
from domain.ports.image_requests import AdoptableJobs, ImageRequests
from domain.ports.input_files import InputFiles
from domain.ports.installation import Installation, InstallationState, OpenStage, ProviderQueue
from domain.ports.keys import KeyStates, KeyUsages, ManagedKeys
from domain.ports.lots import Lots
from domain.ports.partial_images import PartialImageOwner, PartialImages
from domain.ports.payments import Payments
from domain.ports.progress import ProgressRecords, TypicalDurations
from domain.ports.provider_slots import Closure, ProviderSlots, QueuePosition, SlotDecision
from domain.ports.reconcile import ReconcileQueries, StuckGeneration
from domain.ports.services import (
    Downloader,
    ImageInspector,
    InputCheck,
    ObjectStore,
    Provider,
    SynchronousProvider,
    WebhookReader,
    WorkflowClient,
    WorkflowState,
)
from domain.ports.tenants import ApiKeys, TenantStates, TenantUsages

__all__ = [
    "AdoptableJobs",
    "ApiKeys",
    "Assets",
    "AttemptRecord",
    "Attempts",
    "Authenticator",
    "BatchFiles",
    "BatchRuns",
    "BatchWorkflows",
    "Batches",
    "Books",
    "Closure",
    "CreditAccounts",
    "Downloader",
    "DurationHistory",
    "Erasure",
    "EventLog",
    "Generations",
    "ImageInspector",
    "ImageRequests",
    "Inbox",
    "InputCheck",
    "InputFiles",
    "Installation",
    "InstallationState",
    "KeyStates",
    "KeyUsages",
    "Ledger",
    "LogTail",
    "Lots",
    "ManagedKeys",
    "ObjectStore",
    "OpenStage",
    "PartialImageOwner",
    "PartialImages",
    "Payments",
    "ProgressRecords",
    "Provider",
    "ProviderQueue",
    "ProviderSlots",
    "QueuePosition",
    "ReconcileQueries",
    "ResultToStore",
    "SlotDecision",
    "StoringStart",
    "StuckGeneration",
    "SubmitPermit",
    "SynchronousProvider",
    "TenantStates",
    "TenantUsages",
    "TypicalDurations",
    "UsedKeys",
    "WebhookReader",
    "WebhookReceipt",
    "WorkflowClient",
    "WorkflowState",
]
