"""What accepts batches, on the real adapters."""

from temporalio.client import Client

from adapters.database.client_batches import PostgresBatches
from adapters.database.engine import Database
from adapters.database.input_files import PostgresInputFiles
from adapters.database.used_keys import PostgresUsedKeys
from api.services.admission import Admission
from api.services.batch_files import BatchFileService
from api.services.batches import BatchService
from api.services.rate_limiter import RateLimiter
from composition.settings import ServiceSettings, keyring
from composition.temporal import batch_workflows
from domain.catalog import Catalog
from domain.ports import ObjectStore


def batch_service(
    settings: ServiceSettings,
    pool: Database,
    store: ObjectStore,
    models: Catalog,
    admission: Admission,
    rate_limiter: RateLimiter,
    temporal: Client,
    *,
    call_seconds: float,
) -> BatchService:
    """Return the service. call_seconds: for each call to Temporal."""
    files = PostgresInputFiles(pool)
    return BatchService(
        models,
        PostgresBatches(pool),
        batch_workflows(settings, temporal, call_seconds=call_seconds),
        PostgresUsedKeys(pool),
        files,
        BatchFileService(files, store, max_bytes=settings.max_batch_file_bytes),
        admission,
        rate_limiter,
        keyring(settings),
    )
