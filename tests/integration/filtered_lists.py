"""Lists of generations in every order, by filters that match many, few and none of a tenant's."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta

from adapters.database.engine import Database
from adapters.database.generations import PostgresGenerations
from domain.generation import Status
from domain.listing import GenerationFilter, ListOrder, ListPosition, SortKey

LIMIT = 100
_LATER = datetime.now(UTC) - timedelta(seconds=100_000)
_EARLIER = _LATER - timedelta(seconds=50_000)
# As large_tables.sql has them.
FILTERS = {
    "all": GenerationFilter(),
    "completed": GenerationFilter(status=Status.COMPLETED),
    "rare status": GenerationFilter(status=Status.FAILED),
    "no status": GenerationFilter(status=Status.CANCELED),
    "model": GenerationFilter(model="m"),
    "rare model": GenerationFilter(model="rare"),
    "no model": GenerationFilter(model="none"),
    "provider": GenerationFilter(provider="fal"),
    "rare provider": GenerationFilter(provider="bfl"),
    "models of no provider": GenerationFilter(model="m", provider="none"),
    "model and status": GenerationFilter(model="other", status=Status.COMPLETED),
    "model and rare status": GenerationFilter(model="m", status=Status.FAILED),
    "metadata": GenerationFilter(metadata={"app": "a"}),
    "rare metadata": GenerationFilter(metadata={"app": "a", "user": "u2"}),
    "no metadata": GenerationFilter(metadata={"app": "b"}),
    "words": GenerationFilter(q="a cat"),
    "rare words": GenerationFilter(q="a fox"),
    "no words": GenerationFilter(q="a dog"),
    "a while": GenerationFilter(created_after=_EARLIER, created_before=_LATER),
    "a long while ago": GenerationFilter(created_before=datetime(2020, 1, 1, tzinfo=UTC)),
    "a rare model and a while": GenerationFilter(model="rare", created_after=_EARLIER),
    "everything": GenerationFilter(Status.COMPLETED, "other", "fal", {"user": "u8"}, _EARLIER, _LATER, "cat"),
}
_POSITIONS = {
    SortKey.CREATED_AT: ListPosition(_LATER, "gen_1"),
    SortKey.DURATION: ListPosition(timedelta(0), "gen_2"),
    SortKey.COST: ListPosition(0, "gen_2"),
}


def _list(
    wanted: GenerationFilter, order: ListOrder, after: ListPosition | None
) -> Callable[[Database], Awaitable[object]]:
    return lambda database: PostgresGenerations(database).list_generations(
        "ten_0", wanted, order, after=after, limit=LIMIT
    )


LISTS = {
    f"{name} by {order}{', next page' if after else ''}": _list(wanted, order, after)
    for name, wanted in FILTERS.items()
    for order in ListOrder
    for after in (None, _POSITIONS[order.key])
}
