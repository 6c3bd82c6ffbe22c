"""What workflows, activities and routes need from outside. Implemented in `adapters`."""

from domain.ports.outside import (
    Downloader,
    ImageFacts,
    ImageInspector,
    ObjectStore,
    Provider,
    Runs,
    RunState,
    WebhookReader,
)
from domain.ports.records import (
    Assets,
    Attempts,
    Authenticator,
    CreditAccounts,
    Generations,
    Inbox,
    Ledger,
    Page,
    Received,
    Repairs,
    Storing,
    Stranded,
)

__all__ = [
    "Assets",
    "Attempts",
    "Authenticator",
    "CreditAccounts",
    "Downloader",
    "Generations",
    "ImageFacts",
    "ImageInspector",
    "Inbox",
    "Ledger",
    "ObjectStore",
    "Page",
    "Provider",
    "Received",
    "Repairs",
    "RunState",
    "Runs",
    "Storing",
    "Stranded",
    "WebhookReader",
]
