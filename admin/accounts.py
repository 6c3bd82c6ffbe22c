"""Commands for tenants and limits, and for the audit trail."""

import argparse
from typing import Any

from admin.command_line import Commands, actor_of, plain_line
from composition import ServiceSettings
from composition.repositories import (
    Database,
    audit_events,
    request_erasure,
    set_retention,
    tenant_lines,
    tenants,
)
from domain.errors import InvalidInput
from domain.retention import DataKind, read_days
from domain.tenant import NAMES, read_limit


async def _create_tenant(wanted: argparse.Namespace, _: ServiceSettings, pool: Database) -> dict[str, Any]:
    return {"tenant_id": await tenants(pool).create(wanted.name, wanted.id, by=actor_of(wanted))}


async def _list_tenants(wanted: argparse.Namespace, _: ServiceSettings, pool: Database) -> dict[str, Any]:
    return {"tenants": [plain_line(line) for line in await tenant_lines(pool, after=wanted.after)]}


async def _suspend_tenant(wanted: argparse.Namespace, _: ServiceSettings, pool: Database) -> dict[str, Any]:
    return {"suspended": await tenants(pool).suspend(wanted.tenant_id, by=actor_of(wanted))}


async def _resume_tenant(wanted: argparse.Namespace, _: ServiceSettings, pool: Database) -> dict[str, Any]:
    return {"resumed": await tenants(pool).resume(wanted.tenant_id, by=actor_of(wanted))}


async def _set_limits(wanted: argparse.Namespace, _: ServiceSettings, pool: Database) -> dict[str, Any]:
    changes = limits_of(wanted.limits, NAMES)
    return {"limits": dict(await tenants(pool).set_limits(wanted.tenant_id, changes, by=actor_of(wanted)))}


async def _set_retention(wanted: argparse.Namespace, _: ServiceSettings, pool: Database) -> dict[str, Any]:
    changes = dict(read_days(*entry.partition("=")[::2]) for entry in wanted.days)
    return {"retention_days": await set_retention(pool, wanted.tenant_id, changes, by=actor_of(wanted))}


async def _erase_tenant(wanted: argparse.Namespace, _: ServiceSettings, pool: Database) -> dict[str, Any]:
    open_generations = await request_erasure(pool, wanted.tenant_id, by=actor_of(wanted))
    return {"tenant_id": wanted.tenant_id, "open_generations": open_generations}


async def _audit(wanted: argparse.Namespace, _: ServiceSettings, pool: Database) -> dict[str, Any]:
    events = await audit_events(pool, wanted.tenant, wanted.limit)
    return {"events": [plain_line(event) for event in events]}


def limits_of(written: list[str], known: tuple[str, ...]) -> dict[str, float | None]:
    """Return `name=number` and `name=default` as values; None for the default."""
    found: dict[str, float | None] = {}
    for entry in written:
        name, equals, value = entry.partition("=")
        if not equals:
            raise InvalidInput(errors=((name, "is to be name=number, or name=default"),))
        limit = read_limit(name, "1" if value == "default" else value, known=known)
        found[name] = None if value == "default" else limit
    return found


def add_to(commands: Commands) -> None:
    """Declare the commands."""
    _add_tenants(commands)
    audit = commands.add("audit", _audit, "the audit trail, newest first")
    audit.add_argument("--tenant", help="only what is about this tenant")
    audit.add_argument("--limit", type=int, choices=range(1, 1001), metavar="1-1000", default=100)


def _add_tenants(commands: Commands) -> None:
    tenant = commands.add_audited("create-tenant", _create_tenant, "make a tenant with its accounts")
    tenant.add_argument("name")
    tenant.add_argument("--id", help="use this id, and do nothing if it exists")
    listed = commands.add("list-tenants", _list_tenants, "tenants by id: credits, limits, suspensions")
    listed.add_argument("--after", default="", help="continue after this id")
    suspended = commands.add_audited(
        "suspend-tenant", _suspend_tenant, "refuse all keys of a tenant", needs_reason=True
    )
    suspended.add_argument("tenant_id")
    resumed = commands.add_audited("resume-tenant", _resume_tenant, "admit the keys of a tenant again")
    resumed.add_argument("tenant_id")
    kept = commands.add_audited("set-retention", _set_retention, "change how long a tenant's data is kept")
    kept.add_argument("tenant_id")
    kept.add_argument("days", nargs="+", metavar="kind=days", help=f"{', '.join(DataKind)}; or =never")
    erased = commands.add_audited(
        "erase-tenant", _erase_tenant, "suspend a tenant for good and erase all of it", needs_reason=True
    )
    erased.add_argument("tenant_id")
    limits = commands.add_audited("set-limits", _set_limits, "change limits of a tenant")
    limits.add_argument("tenant_id")
    limits.add_argument("limits", nargs="+", metavar="name=number", help=f"{', '.join(NAMES)}; or =default")
