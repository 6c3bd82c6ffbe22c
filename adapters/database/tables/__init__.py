"""The tables, as SQLModel classes. `migrations/` makes them; a test holds that both agree."""

from adapters.database.tables.accounts import (
    AccountRow,
    ApiKeyRow,
    AuditEventRow,
    EntryRow,
    TenantRow,
    TransferRow,
    UnchargedCostRow,
)
from adapters.database.tables.events import EventRow
from adapters.database.tables.generation_terms import GenerationTermsRow
from adapters.database.tables.generations import (
    AttemptRow,
    GenerationRow,
    ImageRow,
    InboxRow,
    UnstoredImageRow,
)
from adapters.database.tables.input_files import InputFileRow
from adapters.database.tables.provider_slots import (
    ProviderCapacityRow,
    ProviderClosureRow,
    ProviderPauseRow,
    ProviderSlotRow,
)

__all__ = [
    "AccountRow",
    "ApiKeyRow",
    "AttemptRow",
    "AuditEventRow",
    "EntryRow",
    "EventRow",
    "GenerationRow",
    "GenerationTermsRow",
    "ImageRow",
    "InboxRow",
    "InputFileRow",
    "ProviderCapacityRow",
    "ProviderClosureRow",
    "ProviderPauseRow",
    "ProviderSlotRow",
    "TenantRow",
    "TransferRow",
    "UnchargedCostRow",
    "UnstoredImageRow",
]
