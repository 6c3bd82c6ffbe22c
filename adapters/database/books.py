"""Statements of months, and usage, each in one statement and so of one moment.

The movements of a month are those whose transfers were created in it. What an account had at its edge is the
`balance_after` of the last entry before, whose place is found by the transfers' times. Under the lock of its
account a transfer's time is taken before its entries, so both are in the same order; but not where the clock
was set back, nor in rows from before there were lots, whose time is the start of their transaction. Entries
that are out of order at the edge, by at most `_MAX_DISORDER`, are counted by their time.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import date
from typing import Any

from sqlalchemy import Row, bindparam, text
from sqlalchemy.types import Date, DateTime, Text

from adapters.database.engine import Database
from adapters.database.ledger import account_id
from domain.credits import AccountKind, TransferKind
from domain.errors import InvalidInput, TenantNotFound
from domain.lots import LotCategory
from domain.statements import (
    ModelCharge,
    MonthLine,
    Parts,
    Statement,
    UsageGroup,
    UsageLine,
    UsageQuery,
    month_of,
    months_back,
    next_month,
    start_of,
)

_MAX_DISORDER = "interval '30 seconds'"
# Until then a transaction that began in the month may still add to it.
_FINAL_AFTER = "interval '10 minutes'"
# What is looked up for a transfer is a subquery that cannot be merged into a join: the planner, which knows
# no edges, would read all entries for it. An account's last entry is asked for by both columns of its index,
# or those of all accounts would be walked for one that has few. What was granted before there were lots
# became one that is paid.
_STATEMENT = text(f"""
WITH edge (name, at) AS (
    VALUES ('opening', CAST(:starts_at AS timestamptz)), ('closing', CAST(:ends_at AS timestamptz))
), cut AS MATERIALIZED (
    SELECT edge.name, edge.at, (
        SELECT max(written.id)
        FROM transfers CROSS JOIN LATERAL (
            SELECT max(id) AS id FROM entries WHERE transfer_id = transfers.id
        ) AS written
        WHERE transfers.tenant_id = :tenant AND transfers.created_at < edge.at
            AND transfers.created_at > newest.created_at - {_MAX_DISORDER}
    ) AS entry_id
    FROM edge CROSS JOIN LATERAL (
        SELECT created_at FROM transfers WHERE tenant_id = :tenant AND created_at < edge.at
        ORDER BY created_at DESC LIMIT 1
    ) AS newest
), early AS MATERIALIZED (
    -- Written before the last entry of the time before the edge, and of the time after it.
    SELECT cut.name, moved.account_id, sum(moved.amount_credits) AS amount_credits
    FROM cut
    JOIN transfers ON transfers.tenant_id = :tenant AND transfers.created_at >= cut.at
        AND transfers.created_at < cut.at + {_MAX_DISORDER}
    CROSS JOIN LATERAL (
        SELECT account_id, sum(amount_credits) AS amount_credits FROM entries
        WHERE transfer_id = transfers.id AND id < cut.entry_id GROUP BY account_id
    ) AS moved
    GROUP BY cut.name, moved.account_id
)
SELECT 'clock' AS part, NULL AS name, CAST(clock_timestamp() < :starts_at AS integer)::bigint AS first,
    CAST(clock_timestamp() > :ends_at + {_FINAL_AFTER} AS integer)::bigint AS second, 0::bigint AS third
UNION ALL
SELECT edge.name, accounts.kind,
    coalesce(last.balance_after, 0) - coalesce(early.amount_credits, 0)::bigint, 0, 0
FROM edge CROSS JOIN accounts
LEFT JOIN cut ON cut.name = edge.name
LEFT JOIN LATERAL (
    SELECT balance_after FROM entries
    WHERE (account_id, id) <= (accounts.id, cut.entry_id) AND account_id >= accounts.id
    ORDER BY account_id DESC, id DESC LIMIT 1
) AS last ON true
LEFT JOIN early ON early.name = edge.name AND early.account_id = accounts.id
WHERE accounts.tenant_id = :tenant
UNION ALL
SELECT transfers.kind, lot.category, sum(transfers.amount_credits)::bigint,
    coalesce(-sum(owed.amount_credits), 0)::bigint, 0
FROM transfers
LEFT JOIN LATERAL (SELECT category FROM lots WHERE grant_id = transfers.id LIMIT 1) AS lot ON true
LEFT JOIN LATERAL (
    SELECT amount_credits FROM entries
    WHERE transfer_id = transfers.id AND account_id = :owed_account AND transfers.kind = 'take_back' LIMIT 1
) AS owed ON true
WHERE transfers.tenant_id = :tenant AND transfers.hold_id IS NULL
    AND transfers.created_at >= :starts_at AND transfers.created_at < :ends_at
GROUP BY transfers.kind, lot.category
UNION ALL
SELECT 'charge', model, sum(generations)::bigint, sum(images)::bigint, sum(charged_credits)::bigint
FROM usage_days WHERE tenant_id = :tenant AND day >= :first_day AND day < :next_day
GROUP BY model
""").bindparams(  # noqa: S608 - constants
    bindparam("tenant", type_=Text),
    bindparam("owed_account", type_=Text),
    bindparam("starts_at", type_=DateTime(timezone=True)),
    bindparam("ends_at", type_=DateTime(timezone=True)),
    bindparam("first_day", type_=Date),
    bindparam("next_day", type_=Date),
)
_MONTHS = text(f"""
SELECT (clock_timestamp() AT TIME ZONE 'UTC')::date AS today,
    ((clock_timestamp() - {_FINAL_AFTER}) AT TIME ZONE 'UTC')::date AS final_before,
    (least(tenants.created_at, (
        SELECT created_at FROM transfers WHERE tenant_id = :tenant ORDER BY created_at LIMIT 1
    )) AT TIME ZONE 'UTC')::date AS first_day
FROM tenants WHERE id = :tenant
""")  # noqa: S608 - constants
_COLUMNS = {UsageGroup.DAY: "day", UsageGroup.MODEL: "model", UsageGroup.KEY: "api_key_id"}
_NAMES = {UsageGroup.DAY: "day", UsageGroup.MODEL: "model", UsageGroup.KEY: "key_id"}
_TYPES = {UsageGroup.DAY: "date", UsageGroup.MODEL: "text", UsageGroup.KEY: "text"}


class PostgresBooks:
    """Reads the books of one tenant."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def read_statement(self, tenant_id: str, month: date) -> Statement:
        end = next_month(month)
        values = {
            "tenant": tenant_id,
            "owed_account": account_id(tenant_id, AccountKind.OWED),
            "starts_at": start_of(month),
            "ends_at": start_of(end),
            "first_day": month,
            "next_day": end,
        }
        found: dict[str, list[Row[Any]]] = defaultdict(list)
        for row in await self._database.call(_STATEMENT, values):
            found[row.part].append(row)
        [clock] = found["clock"]
        if not found["opening"]:
            raise TenantNotFound
        if clock.first:
            raise InvalidInput(errors=(("month", "one that has begun"),))
        return _statement(month, found, is_final=bool(clock.second))

    async def list_months(self, tenant_id: str, *, before: date | None, limit: int) -> Sequence[MonthLine]:
        found = await self._database.call(_MONTHS, {"tenant": tenant_id})
        if not found:
            raise TenantNotFound
        [row] = found
        oldest, unfinished = month_of(row.first_day), month_of(row.final_before)
        months = months_back(month_of(row.today), oldest)
        listed = [month for month in months if before is None or month < before]
        return [MonthLine(month, month < unfinished) for month in listed[:limit]]

    async def list_usage(
        self, tenant_id: str, wanted: UsageQuery, *, after: UsageLine | None, limit: int
    ) -> Sequence[UsageLine]:
        values = {"tenant": tenant_id, "first": wanted.first_day, "last": wanted.last_day, "limit": limit}
        if after is not None:
            values |= {"day": after.day, "model": after.model, "api_key_id": after.key_id}
        groups = [group for group in UsageGroup if group in wanted.groups]
        rows = await self._database.call(_usage(groups, continues=after is not None), values)
        return [UsageLine(**row._mapping) for row in rows]


def _statement(month: date, found: dict[str, list[Row[Any]]], *, is_final: bool) -> Statement:
    opening, closing = _accounts(found["opening"]), _accounts(found["closing"])
    moved = {kind: sum(row.first for row in found[kind]) for kind in TransferKind}
    promotional = sum(row.first for row in found[TransferKind.GRANT] if row.name == LotCategory.PROMOTIONAL)
    charges = [ModelCharge(row.name, row.first, row.second, row.third) for row in found["charge"]]
    return Statement(
        month=month,
        is_final=is_final,
        opening=_parts(opening).balance,
        granted_paid=moved[TransferKind.GRANT] - promotional,
        granted_promotional=promotional,
        charges=tuple(sorted(charges, key=lambda charge: charge.model)),
        expired=moved[TransferKind.EXPIRE_LOT],
        voided=moved[TransferKind.VOID_LOT],
        withdrawn=moved[TransferKind.WITHDRAW],
        taken_back=moved[TransferKind.TAKE_BACK],
        taken_back_owed=sum(row.second for row in found[TransferKind.TAKE_BACK]),
        parts=_parts(closing),
        spent=closing[AccountKind.SPENT] - opening[AccountKind.SPENT],
    )


def _accounts(rows: Iterable[Row[Any]]) -> dict[AccountKind, int]:
    return dict.fromkeys(AccountKind, 0) | {AccountKind(row.name): int(row.first) for row in rows}


def _parts(balances: dict[AccountKind, int]) -> Parts:
    return Parts(balances[AccountKind.AVAILABLE], balances[AccountKind.HELD], -balances[AccountKind.OWED])


def _usage(groups: Sequence[UsageGroup], *, continues: bool) -> Any:
    """Return the statement for these groups. All of its words are constants of this module."""
    shown = ", ".join(
        f"{_COLUMNS[group] if group in groups else f'CAST(NULL AS {_TYPES[group]})'} AS {_NAMES[group]}"
        for group in UsageGroup
    )
    columns = ", ".join(_COLUMNS[group] for group in groups)
    place = ", ".join(f"CAST(:{_COLUMNS[group]} AS {_TYPES[group]})" for group in groups)
    return text(f"""
        SELECT {shown}, coalesce(sum(generations), 0)::bigint AS generations,
            coalesce(sum(images), 0)::bigint AS images,
            coalesce(sum(charged_credits), 0)::bigint AS charged_credits
        FROM usage_days
        WHERE tenant_id = :tenant AND day >= CAST(:first AS date) AND day <= CAST(:last AS date)
            {f"AND ({columns}) > ({place})" if groups and continues else ""}
        GROUP BY {columns or "()"} {f"ORDER BY {columns}" if groups else ""} LIMIT :limit
    """)  # noqa: S608 - constants
