"""Lists of a tenant's generations. What one call reads is bounded, whatever is looked for.

Where an index finds few candidates, these are read and sorted. Otherwise the index of the order is walked,
and the rest of the filter applied to so many rows; then the list continues there.
"""

import asyncio
import json
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import BigInteger, Text, bindparam, text

from adapters.database.engine import Database
from adapters.database.generation_list_sql import Budget, Shape, Source
from adapters.database.tables.mapping import images_from_json, to_generation
from domain.generation import Status
from domain.listing import GenerationFilter, GenerationSlice, ListOrder, ListPosition, sort_value

_BUDGET = Budget()
_SETTLED = timedelta(seconds=2)
_MAX_FILLED = 500
_FILL = text("SELECT fill_terms(:before, :limit) AS last").bindparams(bindparam("before", type_=Text))
_SEEK = (
    text("""
SELECT cardinality(sought.words) AS words,
    terms_of(:tenant, :model, :provider, sought.words, CAST(:metadata AS jsonb)) AS terms
FROM (SELECT words_of(:q) AS words) AS sought
""")
    .bindparams(*(bindparam(name, type_=Text) for name in ("tenant", "model", "provider", "metadata", "q")))
    .columns(words=BigInteger)
)


class GenerationLists:
    """Reads lists of generations.

    settled: After which time no transaction is open any more that created a generation. `created_at` is when
    that began, so a generation may be seen before an older one, which a list that goes forward would miss if
    it continued there. Such a page is read again when all are seen.
    """

    def __init__(
        self, database: Database, budget: Budget = _BUDGET, *, settled: timedelta = _SETTLED
    ) -> None:
        self._database = database
        self._budget = budget
        self._settled = settled

    async def read(
        self,
        tenant_id: str,
        wanted: GenerationFilter,
        order: ListOrder,
        after: ListPosition | None,
        limit: int,
    ) -> GenerationSlice:
        """Return a page of a list."""
        values = await self._values(tenant_id, wanted)
        shape = Shape(frozenset(values) - {"tenant"}, order, _is_rare(wanted.status), self._budget)
        source = await self._source(shape, values)
        found, read_at = await self._read_page(shape, source, values, after, limit)
        if order is ListOrder.OLDEST and found.next is not None:
            assert isinstance(found.next.value, datetime)
            early = (found.next.value + self._settled - read_at).total_seconds()
            if early > 0:
                await asyncio.sleep(early)
                found, _ = await self._read_page(shape, source, values, after, limit)
        return found

    async def _read_page(
        self, shape: Shape, source: Source, values: dict[str, Any], after: ListPosition | None, limit: int
    ) -> tuple[GenerationSlice, datetime]:
        """Return a page, and the database's time when its end was read."""
        found, statements = GenerationSlice([], after), 0
        while True:
            missing = limit - len(found.generations)
            more, read_at = await self._read_some(shape, source, values, found.next, missing)
            found = GenerationSlice([*found.generations, *more.generations], more.next)
            statements += 1
            is_full = len(found.generations) == limit
            if found.next is None or is_full or statements == self._budget.max_statements:
                return found, read_at

    async def _values(self, tenant_id: str, wanted: GenerationFilter) -> dict[str, Any]:
        """Return the values of the filters that are given, by their names."""
        values: dict[str, Any] = {
            "tenant": tenant_id,
            "status": wanted.status,
            "model": wanted.model,
            "provider": wanted.provider,
            "created_after": wanted.created_after,
            "created_before": wanted.created_before,
            "metadata": json.dumps(dict(wanted.metadata)) if wanted.metadata else None,
        }
        has_both = wanted.model is not None and wanted.provider is not None
        if has_both or wanted.metadata or wanted.q is not None:
            sought = {name: values[name] for name in ("tenant", "model", "provider", "metadata")}
            [row] = await self._database.call(_SEEK, sought | {"q": wanted.q or ""})
            # Without a word there is nothing that must be found.
            values["terms"] = row.terms if row.words or wanted.metadata or has_both else None
        return {name: value for name, value in values.items() if value is not None}

    async def _source(self, shape: Shape, values: dict[str, Any]) -> Source:
        if not shape.is_partial:
            return Source.WALK
        [row] = await self._database.call(shape.count(), values)
        if row.terms <= self._budget.max_candidates:
            return Source.TERMS
        return Source.ROWS if row.rows <= self._budget.max_candidates else Source.WALK

    async def _read_some(
        self, shape: Shape, source: Source, values: dict[str, Any], after: ListPosition | None, limit: int
    ) -> tuple[GenerationSlice, datetime]:
        values = values | {"limit": limit + 1}
        if after is not None:
            values |= {"value": after.value, "id": after.id}
        rows = await self._database.call(shape.select(source, continues=after is not None), values)
        jobs = [to_generation(row, images_from_json(row.images)) for row in rows if row.id is not None]
        following: ListPosition | None = None
        if len(jobs) > limit:
            last = jobs[limit - 1]
            following = ListPosition(sort_value(last, shape.order.key), last.id)
        elif source is Source.WALK and rows[0].walked == shape.max_walked:
            following = ListPosition(rows[0].last_key, rows[0].last_id)
        return GenerationSlice(jobs[:limit], following), rows[0].read_at


def _is_rare(status: Status | None) -> bool:
    """Return whether fewer generations have this status than are usually of one model."""
    return status not in (None, Status.COMPLETED)


async def fill_terms(database: Database) -> None:
    """Let generations be found that have no terms, as they were created before a version that has these.

    It looks at every generation, in steps that lock a few rows for a moment; it may be repeated.
    """
    before: str | None = None
    while True:
        [row] = await database.call(_FILL, {"before": before, "limit": _MAX_FILLED})
        if row.last is None:
            return
        before = row.last
