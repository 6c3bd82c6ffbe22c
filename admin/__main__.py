"""`python -m admin COMMAND`: each command prints one line of JSON, or a table that was asked for."""

import argparse
import asyncio
import json
import sys
from typing import Any

from admin import (
    accounts,
    books,
    check_books,
    credits,
    keys,
    master_keys,
    operator_keys,
    providers,
    usage_events,
)
from admin.bootstrap import bootstrap
from admin.check_settings import check_settings
from admin.command_line import CommandFailed, Commands, actor_of
from composition import ServiceSettings, new_event_loop, read_settings, refuse_unsafe
from composition.repositories import Database, database, record_alone
from domain.audit import AuditAction
from domain.errors import ServiceError
from runtime.logs import configure_logging
from runtime.process import run


async def _bootstrap(wanted: argparse.Namespace, settings: ServiceSettings, pool: Database) -> dict[str, Any]:
    done = await bootstrap(settings)
    await record_alone(pool, actor_of(wanted), AuditAction.BOOTSTRAP, settings.s3_bucket)
    return done


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m admin", description=__doc__)
    commands = Commands(parser)
    commands.add_audited(
        "bootstrap", _bootstrap, "migrate the database; make search attributes, schedule and bucket"
    )
    commands.add("check-settings", None, "list every setting that is wrong or, in production, unsafe")
    accounts.add_to(commands)
    keys.add_to(commands)
    books.add_to(commands)
    credits.add_to(commands)
    operator_keys.add_to(commands)
    providers.add_to(commands)
    master_keys.add_to(commands)
    usage_events.add_to(commands)
    check_books.add_to(commands)
    return parser


async def _main(wanted: argparse.Namespace, settings: ServiceSettings) -> int:
    pool = database(settings, process="darkroom-admin")
    code = 0
    try:
        done = await wanted.do(wanted, settings, pool)
    except CommandFailed as failed:
        done, code = failed.output, 1
    except (ServiceError, ValueError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    finally:
        await pool.close()
    # What is a table already is printed as it is.
    sys.stdout.write(done if isinstance(done, str) else json.dumps(done) + "\n")
    return code


def main() -> None:
    wanted = _parser().parse_args()
    settings = read_settings()
    configure_logging(settings.log_level, settings.log_format)
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
