"""Comparisons of the books."""

from collections.abc import Mapping, Sequence
from typing import Protocol

from domain.books import Disagreement


class BookChecks(Protocol):
    """Compares what the books say in two places. Raises DatabaseUnavailable."""

    async def list_tenants(self, after: str, limit: int) -> Sequence[str]:
        """Return ids of tenants, those that are erased included, in order."""
        ...

    async def check_tenants(self, tenant_ids: Sequence[str], *, whole: bool = False) -> list[Disagreement]:
        """Return what does not agree, at most some thousands.

        Entries that were added up before are not read again, unless `whole`: they never change. Running jobs
        make nothing disagree.
        """
        ...

    async def record_check(self, tenants: int, disagreements: Mapping[str, int]) -> None:
        """Record that all tenants were checked."""
        ...
