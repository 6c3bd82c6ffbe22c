"""The command for the outbox of usage events."""

import argparse
from typing import Any

from admin.command_line import Commands, actor_of, plain_line
from composition import ServiceSettings
from composition.repositories import (
    Database,
    credit_accounts,
    resend_usage_events,
    stop_usage_events,
    usage_backlog,
)
from domain.errors import InvalidInput


async def _usage_events(wanted: argparse.Namespace, _: ServiceSettings, pool: Database) -> dict[str, Any]:
    done: dict[str, Any] = {}
    if wanted.tenant is not None:
        if wanted.since is None:
            raise InvalidInput(errors=(("--tenant", "only with --from"),))
        await credit_accounts(pool).balance(wanted.tenant)  # raises TenantNotFound
    if wanted.since is not None:
        added = await resend_usage_events(pool, wanted.since, wanted.tenant, by=actor_of(wanted))
        done = {"added": added}
    elif wanted.stop:
        done = {"discarded": await stop_usage_events(pool, by=actor_of(wanted))}
    return done | plain_line(await usage_backlog(pool))


def add_to(commands: Commands) -> None:
    """Declare the command."""
    usage = commands.add_audited(
        "usage-events", _usage_events, "what a billing system has not taken yet; send charges again"
    )
    either = usage.add_mutually_exclusive_group()
    either.add_argument(
        "--from", dest="since", metavar="REF", help="send again from this moment, or this event's id, on"
    )
    either.add_argument("--stop", action="store_true", help="give up what is not sent, and collect no more")
    usage.add_argument("--tenant", help="with --from: only the charges of this tenant")
