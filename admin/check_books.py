"""The command that compares the books."""

import argparse
from typing import Any

from admin.command_line import CommandFailed, Commands, plain_line
from composition import ServiceSettings
from composition.repositories import Database, book_checks, credit_accounts
from domain.books import Disagreement

_TENANTS_AT_ONCE = 10
_MAX_SHOWN = 1000


async def _check_books(wanted: argparse.Namespace, _: ServiceSettings, pool: Database) -> dict[str, Any]:
    """Read every entry, also those that the daily check has added up before."""
    checks, found, count = book_checks(pool), list[Disagreement](), 0
    if wanted.tenant:
        await credit_accounts(pool).balance(wanted.tenant)  # raises TenantNotFound
    page = [wanted.tenant] if wanted.tenant else await checks.list_tenants("", _TENANTS_AT_ONCE)
    while page:
        found += await checks.check_tenants(page, whole=True)
        count += len(page)
        page = [] if wanted.tenant else await checks.list_tenants(page[-1], _TENANTS_AT_ONCE)
    shown = [plain_line(each) for each in found[:_MAX_SHOWN]]
    output = {"tenants": count, "disagreements": len(found), "first": shown}
    if found:
        raise CommandFailed(output)
    return output


def add_to(commands: Commands) -> None:
    """Declare the command."""
    checked = commands.add(
        "check-books", _check_books, "compare lots, accounts and entries; exit code 1 if they disagree"
    )
    checked.add_argument("--tenant", help="only of this tenant (default: all)")
