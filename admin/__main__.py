"""`python -m admin COMMAND`: each command prints one line of JSON."""

import argparse
import asyncio
import json
import sys
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from typing import Any

from admin.bootstrap import bootstrap
from admin.check_settings import check_settings
from admin.look_up import look_up
from admin.open_provider import open_provider
from admin.try_provider import try_provider
from composition import ServiceSettings, new_event_loop, read_settings, refuse_unsafe
from composition.repositories import Database, cost_lines, credit_accounts, database, provider_lines, tenants
from domain.auth import Scope
from domain.errors import ServiceError
from runtime.process import configure_logging, run

Command = Callable[[argparse.Namespace, ServiceSettings, Database], Awaitable[dict[str, Any]]]


async def _bootstrap(_: argparse.Namespace, settings: ServiceSettings, __: Database) -> dict[str, Any]:
    return await bootstrap(settings)


async def _create_tenant(wanted: argparse.Namespace, _: ServiceSettings, pool: Database) -> dict[str, Any]:
    return {"tenant_id": await tenants(pool).create(wanted.name, wanted.id)}


async def _create_key(wanted: argparse.Namespace, _: ServiceSettings, pool: Database) -> dict[str, Any]:
    scopes = [Scope(scope) for scope in wanted.scopes.split(",")]
    key = await tenants(pool).create_key(wanted.tenant_id, scopes)
    return {"key_id": key.key_id, "api_key": key.api_key}


async def _revoke_key(wanted: argparse.Namespace, _: ServiceSettings, pool: Database) -> dict[str, Any]:
    return {"revoked": await tenants(pool).revoke_key(wanted.key_id)}


async def _grant(wanted: argparse.Namespace, _: ServiceSettings, pool: Database) -> dict[str, Any]:
    accounts = credit_accounts(pool)
    balance = await accounts.grant(wanted.tenant_id, wanted.amount, wanted.reference)
    return {"available_credits": balance.available}


async def _costs(wanted: argparse.Namespace, _: ServiceSettings, pool: Database) -> dict[str, Any]:
    lines = await cost_lines(pool, wanted.days)
    return {"costs": [{name: _plain(value) for name, value in asdict(line).items()} for line in lines]}


async def _providers(_: argparse.Namespace, __: ServiceSettings, pool: Database) -> dict[str, Any]:
    return {"providers": [asdict(line) for line in await provider_lines(pool)]}


async def _open_provider(
    wanted: argparse.Namespace, settings: ServiceSettings, pool: Database
) -> dict[str, Any]:
    return {"granted": await open_provider(settings, pool, wanted.provider)}


async def _look_up(wanted: argparse.Namespace, settings: ServiceSettings, pool: Database) -> dict[str, Any]:
    return await look_up(settings, pool, wanted.generation_id)


async def _try_provider(wanted: argparse.Namespace, settings: ServiceSettings, _: Database) -> dict[str, Any]:
    return await try_provider(settings, wanted.provider, wanted.model, wanted.prompt)


def _plain(value: object) -> object:
    """Return a JSON value that keeps numbers exact: costs as floats would not add up."""
    return value if value is None or isinstance(value, str | int) else str(value)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m admin", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def command(name: str, do: Command | None, help_text: str) -> argparse.ArgumentParser:
        added = commands.add_parser(name, help=help_text)
        added.set_defaults(do=do)
        return added

    command("bootstrap", _bootstrap, "migrate the database; make search attributes, schedule and bucket")
    command("check-settings", None, "list every setting that is wrong or, in production, unsafe")
    tenant = command("create-tenant", _create_tenant, "make a tenant with its accounts")
    tenant.add_argument("name")
    tenant.add_argument("--id", help="use this id, and do nothing if it exists")
    key = command("create-key", _create_key, "make an API key; it is shown this once")
    key.add_argument("tenant_id")
    key.add_argument("--scopes", default=",".join(Scope), help="comma-separated (default: all)")
    revoke = command("revoke-key", _revoke_key, "revoke an API key, from the next request on")
    revoke.add_argument("key_id")
    grant = command("grant", _grant, "add credits, once per reference")
    grant.add_argument("tenant_id")
    grant.add_argument("amount", type=int)
    grant.add_argument("--reference", required=True, help="what this grant is for; repeats do nothing")
    costs = command("costs", _costs, "provider cost by day and provider, with and without an image")
    costs.add_argument("--days", type=int, choices=range(1, 367), metavar="1-366", default=7)
    command("providers", _providers, "slots in use, jobs that wait, and what is closed, by provider")
    opened = command("open-provider", _open_provider, "let jobs in again where a provider is closed")
    opened.add_argument("provider")
    lost = command("look-up", _look_up, "find the job of a submit whose response was lost, and its result")
    lost.add_argument("generation_id")
    trial = command("try-provider", _try_provider, "one job with your own key, step by step; it costs money")
    trial.add_argument("provider")
    trial.add_argument("--model", help="an id of the catalog (default: the provider's first)")
    trial.add_argument("--prompt", default="A lighthouse in the fog, linocut in two colors")
    return parser


async def _main(wanted: argparse.Namespace, settings: ServiceSettings) -> int:
    pool = database(settings, process="darkroom-admin")
    try:
        done = await wanted.do(wanted, settings, pool)
    except (ServiceError, ValueError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    finally:
        await pool.close()
    sys.stdout.write(json.dumps(done) + "\n")
    return 0


def main() -> None:
    wanted = _parser().parse_args()
    settings = read_settings()
    configure_logging(settings.log_level)
    if wanted.do is None:
        check_settings(settings)
        return
    if wanted.do is _bootstrap:
        refuse_unsafe(settings)

    async def one(_: asyncio.Event) -> int:
        return await _main(wanted, settings)

    run(one, new_event_loop)


if __name__ == "__main__":
    main()
