"""Creates what the service expects to find: tables, search attributes, schedule, bucket.

Run before each new version starts, once; it may be repeated, also at the same time.
"""

import asyncio
import logging
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from temporalio.api.enums.v1 import IndexedValueType
from temporalio.api.operatorservice.v1 import (
    AddSearchAttributesRequest,
    ListSearchAttributesRequest,
    ListSearchAttributesResponse,
)
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from admin.schedules import schedule_book_check, schedule_reconciler
from composition import ServiceSettings
from composition.repositories import database, event_log, fill_terms, grant_rights, seal_fingerprints
from composition.settings import keyring
from composition.storage import limit_account, object_store
from composition.temporal import temporal_client
from domain import temporal_names
from domain.fingerprints import fingerprint

_log = logging.getLogger("darkroom.admin")
_KEYWORD = IndexedValueType.INDEXED_VALUE_TYPE_KEYWORD
_RPC_SECONDS = 10
_VISIBLE_LOOKS, _VISIBLE_PAUSE_SECONDS = 150, 0.2


async def bootstrap(settings: ServiceSettings) -> dict[str, Any]:
    """Make everything ready; return what is."""
    pool = database(settings, process="darkroom-admin")
    try:
        await pool.healthy()
    finally:
        await pool.close()
    # Alembic's own environment runs an event loop, which cannot be inside this one.
    owner = settings.migration_database_url or settings.database_url
    await asyncio.to_thread(migrate, owner.get_secret_value())
    await grant(owner.get_secret_value())
    await adopt_rows_of_before(settings)
    await prepare_storage(settings)
    client = await temporal_client(settings)
    missing = await register_search_attributes(client)
    await schedule_reconciler(client, timedelta(seconds=settings.reconcile_every_seconds))
    await schedule_book_check(client)
    return {
        "database": "migrated",
        "bucket": settings.s3_bucket,
        "schedule": temporal_names.RECONCILE_SCHEDULE,
        **({"create_search_attributes": missing} if missing else {}),
    }


async def grant(database_url: str) -> None:
    """Give the roles their rights to the tables. A role that does not exist gets none."""
    if missing := await grant_rights(database_url):
        _log.info(
            "no role %s in this PostgreSQL, so its rights were not set; whoever has the tables' owner in"
            " DATABASE_URL needs none (docs/operations.md, Roles)",
            " and no role ".join(missing),
        )


async def adopt_rows_of_before(settings: ServiceSettings) -> None:
    """Bring rows of a restored dump, and of versions before, to what this version expects."""
    pool = database(settings, process="darkroom-admin")
    try:
        if count := await event_log(pool).rebase():
            _log.info("%d events came from another server; they stand before all new ones", count)
        if count := await seal_fingerprints(pool, partial(fingerprint, keyring(settings))):
            _log.info("%d fingerprints of requests are sealed now", count)
        await fill_terms(pool)
    finally:
        await pool.close()


async def prepare_storage(settings: ServiceSettings) -> None:
    """Make the bucket; with the store's root account set, also the account that may use this bucket only."""
    await limit_account(settings)
    async with object_store(settings) as store:
        await store.ensure_bucket()


def migrate(database_url: str) -> None:
    """Bring the tables to the newest revision; a second migrator waits for the first."""
    command.upgrade(alembic_config(database_url), "head")


def alembic_config(database_url: str) -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent.parent / "migrations"))
    config.attributes["database_url"] = database_url
    return config


async def register_search_attributes(client: Client) -> list[str]:
    """Register what is missing, and wait until workflows may use it.

    Return what the operator must create, on a Temporal that does not let us: Temporal Cloud has no such call.
    """
    try:
        await _register(client)
    except RPCError as error:
        if error.status not in (RPCStatusCode.UNIMPLEMENTED, RPCStatusCode.PERMISSION_DENIED):
            raise
        names = sorted(temporal_names.SEARCH_ATTRIBUTES)
        _log.warning(
            "this Temporal does not let us create search attributes: create %s, of type Keyword, in the"
            " namespace %s; until then no generation can start",
            ", ".join(names),
            client.namespace,
        )
        return names
    return []


async def _register(client: Client) -> None:
    missing = set(temporal_names.SEARCH_ATTRIBUTES) - (await _attributes(client)).custom_attributes.keys()
    if not missing:
        return
    try:
        await client.operator_service.add_search_attributes(
            AddSearchAttributesRequest(
                namespace=client.namespace, search_attributes=dict.fromkeys(sorted(missing), _KEYWORD)
            ),
            timeout=timedelta(seconds=_RPC_SECONDS),
        )
    except RPCError as error:
        if error.status is not RPCStatusCode.ALREADY_EXISTS:
            raise
    for _ in range(_VISIBLE_LOOKS):
        if not set(temporal_names.SEARCH_ATTRIBUTES) - (await _attributes(client)).custom_attributes.keys():
            return
        await asyncio.sleep(_VISIBLE_PAUSE_SECONDS)
    raise TimeoutError("the search attributes were registered but did not become visible")


async def _attributes(client: Client) -> ListSearchAttributesResponse:
    return await client.operator_service.list_search_attributes(
        ListSearchAttributesRequest(namespace=client.namespace), timeout=timedelta(seconds=_RPC_SECONDS)
    )
