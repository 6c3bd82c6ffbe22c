"""Commands for API keys."""

import argparse
from datetime import timedelta
from typing import Any

from admin.accounts import limits_of
from admin.command_line import MAX_KEY_DAYS, Commands, actor_of, plain_line
from composition import ServiceSettings
from composition.repositories import Database, key_lines, tenants
from domain.auth import DEFAULT_SCOPES, SCOPE_NAMES, expand_scopes
from domain.errors import InvalidInput
from domain.keys import MAX_CAP_CREDITS
from domain.tenant import KEY_LIMITS

_NO_CAP = "none"


async def _create_key(wanted: argparse.Namespace, _: ServiceSettings, pool: Database) -> dict[str, Any]:
    limits = limits_of(wanted.limit, KEY_LIMITS)
    key = await tenants(pool).create_key(
        wanted.tenant_id,
        expand_scopes(wanted.scopes.split(",")),
        name=wanted.name,
        lifetime=timedelta(days=wanted.expires_in_days) if wanted.expires_in_days else None,
        limits={name: value for name, value in limits.items() if value is not None},
        monthly_budget_credits=wanted.monthly_budget,
        max_held_credits=wanted.max_held,
        by=actor_of(wanted),
    )
    return {"key_id": key.key_id, "api_key": key.api_key}


async def _set_budget(wanted: argparse.Namespace, _: ServiceSettings, pool: Database) -> dict[str, Any]:
    given = {"monthly_budget_credits": wanted.monthly, "max_held_credits": wanted.held}
    changes = {
        name: None if value == _NO_CAP else value for name, value in given.items() if value is not None
    }
    if not changes:
        raise InvalidInput(errors=(("set-budget", "--monthly, --held or both"),))
    return dict(await tenants(pool).set_budget(wanted.key_id, changes, by=actor_of(wanted)))


async def _list_keys(wanted: argparse.Namespace, _: ServiceSettings, pool: Database) -> dict[str, Any]:
    return {"keys": [plain_line(line) for line in await key_lines(pool, wanted.tenant_id)]}


async def _revoke_key(wanted: argparse.Namespace, _: ServiceSettings, pool: Database) -> dict[str, Any]:
    return {"revoked": await tenants(pool).revoke_key(wanted.key_id, by=actor_of(wanted))}


def _cap(written: str) -> int:
    """Return credits that an operator wrote. Raises ArgumentTypeError."""
    if not (written.isascii() and written.isdecimal()) or len(written) > len(str(MAX_CAP_CREDITS)):
        raise argparse.ArgumentTypeError(f"a whole number from 0 to {MAX_CAP_CREDITS}")
    if int(written) > MAX_CAP_CREDITS:
        raise argparse.ArgumentTypeError(f"at most {MAX_CAP_CREDITS}")
    return int(written)


def _cap_or_none(written: str) -> int | str:
    return written if written == _NO_CAP else _cap(written)


def add_to(commands: Commands) -> None:
    """Declare the commands."""
    key = commands.add_audited("create-key", _create_key, "make an API key; it is shown this once")
    key.add_argument("tenant_id")
    key.add_argument(
        "--scopes",
        default=",".join(DEFAULT_SCOPES),
        help=f"comma-separated: {', '.join(SCOPE_NAMES)} (default: {','.join(DEFAULT_SCOPES)})",
    )
    key.add_argument("--name", default="", help="what it is for, for list-keys")
    key.add_argument("--expires-in-days", type=int, choices=range(1, MAX_KEY_DAYS + 1), metavar="DAYS")
    key.add_argument(
        "--limit", action="append", default=[], metavar="name=number", help=", ".join(KEY_LIMITS)
    )
    key.add_argument("--monthly-budget", type=_cap, metavar="N", help="credits it may spend in a month (UTC)")
    key.add_argument("--max-held", type=_cap, metavar="N", help="credits that its open jobs may hold")
    budget = commands.add_audited(
        "set-budget", _set_budget, "change what an API key may spend", needs_reason=True
    )
    budget.add_argument("key_id")
    for option, what in (("--monthly", "credits a month (UTC)"), ("--held", "credits that open jobs hold")):
        budget.add_argument(option, type=_cap_or_none, metavar=f"N|{_NO_CAP}", help=what)
    listed = commands.add(
        "list-keys", _list_keys, "keys of a tenant: scopes, caps, spending, last use, expiry"
    )
    listed.add_argument("tenant_id")
    revoke = commands.add_audited("revoke-key", _revoke_key, "revoke an API key, from the next request on")
    revoke.add_argument("key_id")
