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
from adapters.database.tables.batches import BatchItemRow, BatchRow
from adapters.database.tables.book_marks import BookMarkRow
from adapters.database.tables.events import EventRow
from adapters.database.tables.generation_terms import GenerationTermsRow
from adapters.database.tables.generations import (
    AttemptRow,
    GenerationRow,
    ImageRow,
    InboxRow,
    UnstoredImageRow,
)
from adapters.database.tables.image_requests import ImageRequestRow
from adapters.database.tables.input_files import InputFileRow
from adapters.database.tables.lots import (
    CreditThresholdRow,
    LotEntryRow,
    LotRow,
    PaymentRow,
    TakeBackRow,
)
from adapters.database.tables.operator_keys import OperatorKeyRow
from adapters.database.tables.partial_images import PartialImagesRow
from adapters.database.tables.provider_slots import (
    ProviderCapacityRow,
    ProviderClosureRow,
    ProviderPauseRow,
    ProviderSlotRow,
)
from adapters.database.tables.spending import BookCheckRow, KeySpendingRow, UsageDayRow
from adapters.database.tables.usage_outbox import UsageOutboxRow, UsageSenderRow
from adapters.database.tables.webhook_endpoints import (
    DeliveryAttemptRow,
    DeliveryRow,
    EventCursorRow,
    WebhookEndpointRow,
)

__all__ = [
    "AccountRow",
    "ApiKeyRow",
    "AttemptRow",
    "AuditEventRow",
    "BatchItemRow",
    "BatchRow",
    "BookCheckRow",
    "BookMarkRow",
    "CreditThresholdRow",
    "DeliveryAttemptRow",
    "DeliveryRow",
    "EntryRow",
    "EventCursorRow",
    "EventRow",
    "GenerationRow",
    "GenerationTermsRow",
    "ImageRequestRow",
    "ImageRow",
    "InboxRow",
    "InputFileRow",
    "KeySpendingRow",
    "LotEntryRow",
    "LotRow",
    "OperatorKeyRow",
    "PartialImagesRow",
    "PaymentRow",
    "ProviderCapacityRow",
    "ProviderClosureRow",
    "ProviderPauseRow",
    "ProviderSlotRow",
    "TakeBackRow",
    "TenantRow",
    "TransferRow",
    "UnchargedCostRow",
    "UnstoredImageRow",
    "UsageDayRow",
    "UsageOutboxRow",
    "UsageSenderRow",
    "WebhookEndpointRow",
]
