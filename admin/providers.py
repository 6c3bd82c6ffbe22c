"""Commands that look at providers, what they cost and what became of a job, and open one that is closed."""

import argparse
from dataclasses import asdict
from typing import Any

from admin.command_line import Commands, actor_of, plain_line
from admin.look_up import look_up
from admin.open_provider import open_provider
from admin.try_provider import try_provider
from composition import ServiceSettings
from composition.repositories import Database, cost_lines, event_log, provider_lines, record_alone
from domain.audit import AuditAction
from domain.errors import GenerationNotFound

_MAX_EVENTS = 1000


async def _costs(wanted: argparse.Namespace, _: ServiceSettings, pool: Database) -> dict[str, Any]:
    return {"costs": [plain_line(line) for line in await cost_lines(pool, wanted.days)]}


async def _providers(_: argparse.Namespace, __: ServiceSettings, pool: Database) -> dict[str, Any]:
    return {"providers": [asdict(line) for line in await provider_lines(pool)]}


async def _open_provider(
    wanted: argparse.Namespace, settings: ServiceSettings, pool: Database
) -> dict[str, Any]:
    await record_alone(pool, actor_of(wanted), AuditAction.OPEN_PROVIDER, wanted.provider)
    return {"granted": await open_provider(settings, pool, wanted.provider)}


async def _look_up(wanted: argparse.Namespace, settings: ServiceSettings, pool: Database) -> dict[str, Any]:
    await record_alone(pool, actor_of(wanted), AuditAction.LOOK_UP, wanted.generation_id)
    return await look_up(settings, pool, wanted.generation_id)


async def _events(wanted: argparse.Namespace, _: ServiceSettings, pool: Database) -> dict[str, Any]:
    events = await event_log(pool).list_for_operators(wanted.generation_id, _MAX_EVENTS)
    if not events:
        raise GenerationNotFound(f"no event of {wanted.generation_id} is in the log")
    return {
        "tenant_id": events[0].tenant_id,
        "events": [
            {"at": event.created_at.isoformat(), "number": event.number, "type": event.type, **event.data}
            for event in events
        ],
    }


async def _try_provider(
    wanted: argparse.Namespace, settings: ServiceSettings, pool: Database
) -> dict[str, Any]:
    await record_alone(pool, actor_of(wanted), AuditAction.TRY_PROVIDER, wanted.provider)
    return await try_provider(settings, wanted.provider, wanted.model, wanted.prompt)


def add_to(commands: Commands) -> None:
    """Declare the commands."""
    costs = commands.add("costs", _costs, "provider cost by day and provider, with and without an image")
    costs.add_argument("--days", type=int, choices=range(1, 367), metavar="1-366", default=7)
    commands.add("providers", _providers, "slots in use, jobs that wait, and what is closed, by provider")
    opened = commands.add_audited(
        "open-provider", _open_provider, "let jobs in again where a provider is closed"
    )
    opened.add_argument("provider")
    lost = commands.add_audited(
        "look-up", _look_up, "find the job of a submit whose response was lost, and its result"
    )
    lost.add_argument("generation_id")
    told = commands.add("events", _events, "what happened to a generation, from the log")
    told.add_argument("generation_id")
    trial = commands.add_audited(
        "try-provider", _try_provider, "one job with your own key, step by step; it costs money"
    )
    trial.add_argument("provider")
    trial.add_argument("--model", help="an id of the catalog (default: the provider's first)")
    trial.add_argument("--prompt", default="A lighthouse in the fog, linocut in two colors")
