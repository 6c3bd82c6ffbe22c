"""The statements that read lists of generations: one for each shape of a filter, built from constants."""

from dataclasses import dataclass
from enum import Enum, auto
from functools import lru_cache
from typing import Any

from sqlalchemy import BigInteger, DateTime, Interval, Text, TextualSelect, bindparam, text
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

from adapters.database.tables.mapping import with_generation
from domain.listing import ListOrder, SortKey

_MOMENT = DateTime(timezone=True)
_KEYS = {
    SortKey.CREATED_AT: "created_at",
    SortKey.DURATION: "(finished_at - created_at)",
    SortKey.COST: "charged_credits",
}
_KEY_TYPES: dict[SortKey, Any] = {
    SortKey.CREATED_AT: _MOMENT,
    SortKey.DURATION: Interval(),
    SortKey.COST: BigInteger(),
}
_TYPES: dict[str, Any] = {
    **dict.fromkeys(("tenant", "status", "model", "provider", "metadata", "id"), Text()),
    **dict.fromkeys(("created_after", "created_before"), _MOMENT),
    "terms": ARRAY(BigInteger),
    "limit": BigInteger(),
}
_CONDITIONS = {
    "status": "status = :status",
    "model": "model = :model",
    "provider": "provider = :provider",
    "created_after": "created_at >= :created_after",
    "created_before": "created_at < :created_before",
    # The terms are hashes; this is exact.
    "metadata": "metadata @> CAST(:metadata AS jsonb)",
    # A scalar, so that it is a look into an index for each row, whatever the planner believes.
    "terms": "(SELECT terms FROM generation_terms WHERE generation_id = candidate.id) @> :terms",
}
_TIMES = ("created_after", "created_before")
_IMAGES = """
    SELECT jsonb_agg(to_jsonb(image) - 'generation_id' - 'created_at' ORDER BY index)
    FROM images AS image WHERE generation_id = page.id AND page.status = 'completed'
"""


class Source(Enum):
    """Where the candidates of a list come from.

    TERMS, ROWS: an index of `generation_terms` or of `generations` finds all of them. WALK: the index of the
    order gives the next ones.
    """

    TERMS = auto()
    ROWS = auto()
    WALK = auto()


@dataclass(frozen=True)
class Budget:
    """What one call may read.

    Attributes:
        max_candidates: Those that are all read and sorted, by one statement.
        max_walked: Rows that one statement walks where a part of the filter is left to check.
        max_page: Rows that one statement walks where it is not.
        max_statements: For one call, where generations that match are few and far between.
    """

    max_candidates: int = 1000
    max_walked: int = 2000
    max_page: int = 100
    max_statements: int = 5


@dataclass(frozen=True)
class Shape:
    """What the statements of a list depend on.

    Attributes:
        names: Of the filters. `terms` is there where more than one of model, provider, a pair of the metadata
            and a word is asked for, or one of the last two.
        is_rare: Whether few generations have the status, if there is one.
    """

    names: frozenset[str]
    order: ListOrder
    is_rare: bool
    budget: Budget

    @property
    def is_partial(self) -> bool:
        """Return whether some of the filter is left to check on the rows that are walked."""
        return not self.names <= {self._walked, *(_TIMES if self._is_by_time else ())}

    @property
    def max_walked(self) -> int:
        """Return how many rows one statement walks: a constant, so that one plan is good for all pages."""
        return self.budget.max_walked if self.is_partial else self.budget.max_page + 1

    def count(self) -> TextualSelect:
        """Return a statement that counts the candidates of each source, up to one more than is sorted."""
        return _count(self)

    def select(self, source: Source, *, continues: bool) -> TextualSelect:
        """Return a statement that selects the next generations of a list.

        Each row has how many were walked, and the key and id of the last of them; if none of them matches,
        there is one row with nothing else.
        """
        return _select(self, source, continues=continues)

    @property
    def key(self) -> str:
        return _KEYS[self.order.key]

    @property
    def _is_by_time(self) -> bool:
        return self.order.key is SortKey.CREATED_AT

    @property
    def _walked(self) -> str:
        """Return the filter by which the index that is walked begins; empty without one."""
        if not self._is_by_time:
            return ""
        first = ("status", "model", "provider") if self.is_rare else ("model", "provider", "status")
        return next((name for name in first if name in self.names), "")

    def conditions(self, *names: str) -> list[str]:
        return [_CONDITIONS[name] for name in names if name in self.names]

    def candidates(self, source: Source, limit: int) -> str | None:
        """Return what selects up to so many candidates of a source; None if no index has them."""
        if source is Source.TERMS and "terms" in self.names:  # all of them: it leaves little to look at
            return f"SELECT id, NULL AS key FROM generations_by_terms(:terms, {limit}) AS id"  # noqa: S608
        by = ("model", "provider") if source is Source.TERMS else ("status",)
        found = self.conditions(*by, *_TIMES)
        if not found or (source is Source.TERMS and not self.conditions(*by)):
            return None
        table, row_id = ("generation_terms", "generation_id")
        if source is Source.ROWS:
            table, row_id = "generations", "id"
            found.append("deleted_at IS NULL")
        # In the order of the index, which the planner would not use for it where there are many.
        order = f"ORDER BY created_at DESC, {row_id} DESC LIMIT {limit}"
        return f"{_from(table, row_id, found)} {order}"

    def walk(self, *, continues: bool) -> str:
        """Return what selects the next rows in the order of the list."""
        by, key = self._walked, self.key
        times = self.conditions(*_TIMES) if self._is_by_time else ["finished_at IS NOT NULL"]
        if by in ("model", "provider"):
            table, row_id, found = "generation_terms", "generation_id", [_CONDITIONS[by], *times]
        else:
            table, row_id = "generations", "id"
            found = ["deleted_at IS NULL", *self.conditions(by), *times]
        found += self.after(row_id) if continues else []
        return f"{_from(table, row_id, found, key)} {self.sorting(key, row_id)} LIMIT {self.max_walked}"

    def after(self, row_id: str) -> list[str]:
        sign = "<" if self.order.is_descending else ">"
        return [f"({self.key}, {row_id}) {sign} (:value, :id)"]

    def sorting(self, key: str, row_id: str, *, from_the_end: bool = False) -> str:
        direction = "DESC" if self.order.is_descending is not from_the_end else "ASC"
        return f"ORDER BY {key} {direction}, {row_id} {direction}"


def _from(table: str, row_id: str, conditions: list[str], key: str = "NULL") -> str:
    where = " AND ".join(["tenant_id = :tenant", *conditions])
    return f"SELECT {row_id} AS id, {key} AS key FROM {table} WHERE {where}"  # noqa: S608 - constants


@lru_cache(maxsize=1000)
def _count(shape: Shape) -> TextualSelect:
    counts, too_many = [], shape.budget.max_candidates + 1
    for source in (Source.TERMS, Source.ROWS):
        candidates = shape.candidates(source, too_many)
        counted = f"(SELECT count(*) FROM ({candidates}) AS counted)"  # noqa: S608 - constants
        counts.append(counted if candidates else str(too_many))
    counting = text(f"SELECT {counts[0]} AS terms, {counts[1]} AS rows")
    return _typed(counting.columns(terms=BigInteger, rows=BigInteger), shape)


@lru_cache(maxsize=5000)
def _select(shape: Shape, source: Source, *, continues: bool) -> TextualSelect:
    if source is Source.WALK:
        candidates = shape.walk(continues=continues)
    else:
        # More than were counted: some may have been added since.
        candidates = shape.candidates(source, 2 * shape.budget.max_candidates) or ""
    conditions = ["tenant_id = :tenant", "deleted_at IS NULL", *shape.conditions(*sorted(shape.names))]
    conditions += [] if shape.order.key is SortKey.CREATED_AT else ["finished_at IS NOT NULL"]
    conditions += shape.after("g.id") if continues else []
    statement = with_generation(
        f"""(
    WITH candidates AS MATERIALIZED ({candidates})
    SELECT now() AS read_at, walked, last_key, last_id, page.*, ({_IMAGES}) AS images
    FROM (SELECT count(*) AS walked FROM candidates) AS size
    LEFT JOIN (
        SELECT key AS last_key, id AS last_id FROM candidates
        {shape.sorting("key", "id", from_the_end=True)} LIMIT 1
    ) AS last ON true
    LEFT JOIN LATERAL (
        SELECT g.* FROM candidates AS candidate
        CROSS JOIN LATERAL (SELECT * FROM generations WHERE id = candidate.id OFFSET 0) AS g
        WHERE {" AND ".join(conditions)} {shape.sorting(shape.key, "g.id")} LIMIT :limit
    ) AS page ON true
) AS listed {shape.sorting(shape.key, "listed.id")}""",  # noqa: S608 - constants
        "listed",
        read_at=_MOMENT,
        walked=BigInteger(),
        last_key=_KEY_TYPES[shape.order.key],
        last_id=Text(),
        images=JSONB(),
    )
    return _typed(statement, shape)


def _typed(statement: TextualSelect, shape: Shape) -> TextualSelect:
    """Declare the types of the values, which SQLAlchemy would guess otherwise."""
    types = _TYPES | {"value": _KEY_TYPES[shape.order.key]}
    used = [name for name in types if f":{name}" in str(statement.element)]
    typed: TextualSelect = statement.bindparams(*(bindparam(name, type_=types[name]) for name in used))
    return typed
