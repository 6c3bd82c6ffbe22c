"""Keys and tenants whose next request is refused, as a test sets them."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from domain.errors import ServiceError


@dataclass
class States:
    """The port. asked: the keys and tenants of each look."""

    errors: dict[str, ServiceError] = field(default_factory=dict)
    asked: list[tuple[set[str], set[str]]] = field(default_factory=list)
    failure: Exception | None = None

    async def refused(
        self, key_ids: Collection[str], tenant_ids: Collection[str]
    ) -> Mapping[str, ServiceError]:
        self.asked.append((set(key_ids), set(tenant_ids)))
        if self.failure is not None:
            raise self.failure
        return {id_: error for id_, error in self.errors.items() if id_ in {*key_ids, *tenant_ids}}
