"""The database, and the catalog that goes with it."""

import logging
from collections.abc import Mapping
from pathlib import Path

from adapters.catalog.models_toml import load_catalog
from adapters.database.audit import audit_events, record_alone
from adapters.database.book_checks import PostgresBookChecks
from adapters.database.books import PostgresBooks
from adapters.database.costs import CostLine, cost_lines
from adapters.database.credits import PostgresCreditAccounts
from adapters.database.dsn import async_engine
from adapters.database.engine import Database
from adapters.database.erasure import request_erasure
from adapters.database.events import PostgresEventLog
from adapters.database.fingerprints import seal_fingerprints
from adapters.database.generation_lists import fill_terms
from adapters.database.ids import new_id
from adapters.database.ledger import PostgresLedger
from adapters.database.provider_slots import PostgresProviderSlots
from adapters.database.provider_status import ProviderLine, provider_lines
from adapters.database.retention import set_retention
from adapters.database.roles import grant_rights
from adapters.database.schema import ONE_MIGRATOR, require_revision
from adapters.database.tenant_lists import KeyLine, TenantLine, key_lines, tenant_lines
from adapters.database.tenants import PostgresTenants
from adapters.database.usage_outbox import usage_backlog
from adapters.database.usage_resending import resend_usage_events, stop_usage_events
from composition.providers import checks_input, enabled_providers
from composition.settings import ServiceSettings
from domain.catalog import Catalog
from domain.errors import DatabaseUnavailable
from settings import Settings

__all__ = [
    "ONE_MIGRATOR",
    "CostLine",
    "Database",
    "KeyLine",
    "ProviderLine",
    "TenantLine",
    "async_engine",
    "audit_events",
    "book_checks",
    "books",
    "catalog",
    "check_schema",
    "cost_lines",
    "credit_accounts",
    "database",
    "event_log",
    "fill_terms",
    "grant_rights",
    "key_lines",
    "ledger",
    "new_id",
    "provider_lines",
    "provider_slots",
    "record_alone",
    "request_erasure",
    "resend_usage_events",
    "seal_fingerprints",
    "set_retention",
    "slots_with_limits",
    "stop_usage_events",
    "tenant_lines",
    "tenants",
    "usage_backlog",
]

_log = logging.getLogger("darkroom")
_ROOT = Path(__file__).parents[1]


def database(settings: Settings, *, process: str = "darkroom") -> Database:
    """Return a pool of connections, which PostgreSQL lists under the name of the process."""
    return Database(
        settings.database_url.get_secret_value(),
        pool_size=settings.database_pool_size,
        name=process,
        pooler=settings.database_pooler,
    )


async def check_schema(pool: Database) -> None:
    """Refuse to start on tables of an older version. Raises SchemaOutdated.

    A database that is away does not keep a process from starting: it waits for it like any other outage.
    """
    try:
        await require_revision(pool)
    except DatabaseUnavailable:
        _log.warning("the database is away; its revision could not be checked")


def catalog(settings: ServiceSettings) -> Catalog:
    """Load the catalog with this installation's providers and limits."""
    return load_catalog(
        _ROOT / settings.models_file,
        providers=enabled_providers(settings),
        queue_timeout_seconds=settings.queue_timeout_seconds,
        deadline_cap_seconds=settings.deadline_cap_seconds,
        first_poll_cap_seconds=settings.first_poll_cap_seconds,
        checks_input=checks_input(settings),
    )


def provider_slots(settings: ServiceSettings, pool: Database) -> PostgresProviderSlots:
    """Return the slots of every provider that is switched on."""
    limits = {name: provider.max_concurrent for name, provider in catalog(settings).providers.items()}
    return slots_with_limits(pool, limits)


def slots_with_limits(pool: Database, limits: Mapping[str, int]) -> PostgresProviderSlots:
    """Return the slots of providers with these limits."""
    return PostgresProviderSlots(pool, limits)


def tenants(pool: Database) -> PostgresTenants:
    return PostgresTenants(pool)


def books(pool: Database) -> PostgresBooks:
    return PostgresBooks(pool)


def credit_accounts(pool: Database) -> PostgresCreditAccounts:
    return PostgresCreditAccounts(pool)


def book_checks(pool: Database) -> PostgresBookChecks:
    return PostgresBookChecks(pool)


def event_log(pool: Database) -> PostgresEventLog:
    return PostgresEventLog(pool)


def ledger(pool: Database) -> PostgresLedger:
    return PostgresLedger(pool)
