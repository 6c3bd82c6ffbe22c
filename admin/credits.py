"""Commands for credits: lots that are granted, taken back, expired or voided, and when a tenant is told."""

import argparse
from datetime import datetime
from typing import Any

from admin.command_line import Commands, actor_of, plain_line
from composition import ServiceSettings
from composition.operators import lots
from composition.repositories import Database, credit_accounts
from domain.errors import InvalidInput
from domain.lots import DEFAULT_PRIORITY, MAX_PRIORITY, MAX_THRESHOLDS, Grant, LotCategory

_MAX_LOTS = 1000
# At the ends of time a moment has no equal in another time zone.
_FIRST_YEAR, _LAST_YEAR = 2000, 9000


async def _grant(wanted: argparse.Namespace, _: ServiceSettings, pool: Database) -> dict[str, Any]:
    grant = Grant(
        tenant_id=wanted.tenant_id,
        amount_credits=wanted.amount,
        reference=wanted.reference,
        category=LotCategory(wanted.category),
        priority=wanted.priority,
        effective_at=read_moment("effective_at", wanted.effective_at),
        expires_at=read_moment("expires_at", wanted.expires_at),
        is_payment=wanted.payment,
    )
    granted = await lots(pool).grant(grant, by=actor_of(wanted))
    balance = await credit_accounts(pool).balance(wanted.tenant_id)
    return {
        "available_credits": balance.available,
        "lot_id": granted.lot.id,
        "is_new": granted.is_new,
        "repaid_credits": granted.lot.repaid,
    }


async def _withdraw(wanted: argparse.Namespace, _: ServiceSettings, pool: Database) -> dict[str, Any]:
    accounts = credit_accounts(pool)
    balance = await accounts.withdraw(wanted.tenant_id, wanted.amount, wanted.reference, by=actor_of(wanted))
    return {"available_credits": balance.available}


async def _take_back(wanted: argparse.Namespace, _: ServiceSettings, pool: Database) -> dict[str, Any]:
    return plain_line(
        await lots(pool).take_back(
            wanted.tenant_id, wanted.payment, wanted.reference, wanted.amount, by=actor_of(wanted)
        )
    )


async def _expire_lot(wanted: argparse.Namespace, _: ServiceSettings, pool: Database) -> dict[str, Any]:
    return {"lot": plain_line(await lots(pool).expire(wanted.lot_id, by=actor_of(wanted)))}


async def _void_lot(wanted: argparse.Namespace, _: ServiceSettings, pool: Database) -> dict[str, Any]:
    return {"lot": plain_line(await lots(pool).void(wanted.lot_id, by=actor_of(wanted)))}


async def _list_lots(wanted: argparse.Namespace, _: ServiceSettings, pool: Database) -> dict[str, Any]:
    balance = await credit_accounts(pool).balance(wanted.tenant_id)
    found = await lots(pool).list_lots(
        wanted.tenant_id, after=wanted.after, limit=_MAX_LOTS, open_only=not wanted.all
    )
    return {
        "available_credits": balance.available,
        "held_credits": balance.held,
        "owed_credits": balance.owed,
        "upcoming_credits": balance.upcoming,
        "lots": [plain_line(lot) for lot in found],
    }


async def _set_thresholds(wanted: argparse.Namespace, _: ServiceSettings, pool: Database) -> dict[str, Any]:
    await lots(pool).set_thresholds(wanted.tenant_id, wanted.thresholds, by=actor_of(wanted))
    found = await lots(pool).list_thresholds(wanted.tenant_id)
    return {"thresholds": [plain_line(threshold) for threshold in found]}


def read_moment(name: str, written: str | None) -> datetime | None:
    """Return a moment that an operator wrote. Raises InvalidInput for one without a time zone."""
    if written is None:
        return None
    try:
        moment = datetime.fromisoformat(written)
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None or not _FIRST_YEAR <= moment.year < _LAST_YEAR:
        raise InvalidInput(errors=((name, "as in 2027-01-31T23:59:59Z, with its time zone"),))
    return moment


def add_to(commands: Commands) -> None:
    """Declare the commands."""
    _add_grants(commands)
    for name, do, what in (
        ("expire-lot", _expire_lot, "take away what remains of a lot, as at its expiry"),
        ("void-lot", _void_lot, "take away what remains of a lot that should not have been"),
    ):
        ended = commands.add_audited(name, do, what, needs_reason=True)
        ended.add_argument("lot_id")
    listed = commands.add("list-lots", _list_lots, "lots of a tenant, newest first, and its balance")
    listed.add_argument("tenant_id")
    listed.add_argument("--all", action="store_true", help="also those that are empty")
    listed.add_argument("--after", help="continue after this lot")
    told = commands.add_audited(
        "set-thresholds",
        _set_thresholds,
        "tell a tenant with credits.low when less than these is available; none: never",
        needs_reason=True,
    )
    told.add_argument("tenant_id")
    told.add_argument("thresholds", nargs="*", type=int, metavar="credits", help=f"at most {MAX_THRESHOLDS}")


def _add_grants(commands: Commands) -> None:
    granted = commands.add_audited("grant", _grant, "add credits, once per reference")
    granted.add_argument("tenant_id")
    granted.add_argument("amount", type=int)
    granted.add_argument("--reference", required=True, help="what this is for; repeats do nothing")
    granted.add_argument(
        "--category", choices=[each.value for each in LotCategory], default=LotCategory.PAID.value
    )
    granted.add_argument(
        "--priority", type=int, default=DEFAULT_PRIORITY, help=f"0 to {MAX_PRIORITY}, the lowest spent first"
    )
    granted.add_argument("--effective-at", metavar="TIME", help="from when it may be spent (default: now)")
    granted.add_argument("--expires-at", metavar="TIME", help="when what is left goes (default: never)")
    granted.add_argument(
        "--payment", action="store_true", help="the reference is a payment's, and is taken back by it"
    )
    withdrawn = commands.add_audited(
        "withdraw", _withdraw, "take available credits back, once per reference", needs_reason=True
    )
    withdrawn.add_argument("tenant_id")
    withdrawn.add_argument("amount", type=int)
    withdrawn.add_argument("--reference", required=True, help="what this is for; repeats do nothing")
    taken = commands.add_audited(
        "take-back",
        _take_back,
        "take back what was granted for a payment; what was spent of it is owed",
        needs_reason=True,
    )
    taken.add_argument("tenant_id")
    taken.add_argument("payment", help="the reference of its grant, which may come later")
    taken.add_argument("--reference", required=True, help="of the refund; repeats do nothing")
    taken.add_argument("--amount", type=int, help="(default: all that is left of the payment)")
