"""Commands for keys of operators' own systems, such as billing."""

import argparse
from datetime import timedelta
from typing import Any

from admin.command_line import MAX_KEY_DAYS, Commands, actor_of, plain_line
from composition import ServiceSettings
from composition.operators import operator_keys
from composition.repositories import Database
from domain.errors import InvalidInput
from domain.operators import OperatorScope


async def _create(wanted: argparse.Namespace, _: ServiceSettings, pool: Database) -> dict[str, Any]:
    lifetime = timedelta(days=wanted.expires_in_days) if wanted.expires_in_days else None
    scopes = [_scope(name) for name in wanted.scopes.split(",")]
    key = await operator_keys(pool).create(wanted.name, scopes, lifetime=lifetime, by=actor_of(wanted))
    return {"key_id": key.key_id, "operator_key": key.operator_key}


async def _list(_: argparse.Namespace, __: ServiceSettings, pool: Database) -> dict[str, Any]:
    return {"keys": [plain_line(line) for line in await operator_keys(pool).lines()]}


async def _revoke(wanted: argparse.Namespace, _: ServiceSettings, pool: Database) -> dict[str, Any]:
    return {"revoked": await operator_keys(pool).revoke(wanted.key_id, by=actor_of(wanted))}


def _scope(name: str) -> OperatorScope:
    try:
        return OperatorScope(name)
    except ValueError:
        raise InvalidInput(errors=(("scopes", f"one or more of {', '.join(OperatorScope)}"),)) from None


def add_to(commands: Commands) -> None:
    """Declare the commands."""
    made = commands.add_audited(
        "create-operator-key", _create, "make a key for a billing system; it is shown this once"
    )
    made.add_argument("name", help="whose it is, for list-operator-keys")
    made.add_argument("--scopes", default=",".join(OperatorScope), help="comma-separated (default: all)")
    made.add_argument("--expires-in-days", type=int, choices=range(1, MAX_KEY_DAYS + 1), metavar="DAYS")
    commands.add("list-operator-keys", _list, "keys of operators' systems: scopes, last use, expiry")
    revoked = commands.add_audited(
        "revoke-operator-key", _revoke, "revoke an operator's key, from the next request on"
    )
    revoked.add_argument("key_id")
