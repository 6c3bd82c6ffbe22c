"""The tables, as SQLModel classes. `migrations/` makes them; a test holds that both agree."""

from adapters.database.tables.accounts import AccountRow, ApiKeyRow, EntryRow, TenantRow, TransferRow
from adapters.database.tables.files import FileRow
from adapters.database.tables.generations import AttemptRow, GenerationRow, ImageRow, InboxRow
from adapters.database.tables.places import GateRow, PlaceRow

__all__ = [
    "AccountRow",
    "ApiKeyRow",
    "AttemptRow",
    "EntryRow",
    "FileRow",
    "GateRow",
    "GenerationRow",
    "ImageRow",
    "InboxRow",
    "PlaceRow",
    "TenantRow",
    "TransferRow",
]
