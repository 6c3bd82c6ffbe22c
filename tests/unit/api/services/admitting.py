"""An admission with the ports that it reads, as tests set them."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date

from api.services.admission import Admission
from api.services.key_budgets import KeyBudgets
from domain.auth import Caller
from domain.key_budgets import KeySpending, KeyUsage
from domain.tenant import FileUsage, TenantLimits, TenantUsage

LIMITS = TenantLimits(
    max_open_generations=5,
    max_waiting_generations=3,
    max_files=4,
    max_file_bytes=100,
    max_uncharged_credits=50,
)


@dataclass
class Usages:
    """The port, as it is set by a test; counts how often it is asked."""

    usage: TenantUsage = field(default_factory=lambda: TenantUsage(1000, 0, 0, 0))
    files: FileUsage = field(default_factory=lambda: FileUsage(0, 0))
    reads: int = 0
    asked_up_to: list[int] = field(default_factory=list)

    async def read_usage(self, tenant_id: str, *, max_generations: int) -> TenantUsage:
        self.reads += 1
        self.asked_up_to.append(max_generations)
        await asyncio.sleep(0)
        return self.usage

    async def read_file_usage(self, tenant_id: str, *, max_files: int) -> FileUsage:
        return self.files


@dataclass
class KeyUses:
    """The port of keys, as it is set by a test; counts how often it is asked."""

    usage: KeyUsage = field(default_factory=lambda: key_usage())
    reads: int = 0

    async def read_key_usage(self, tenant_id: str, key_id: str) -> KeyUsage:
        self.reads += 1
        await asyncio.sleep(0)
        return self.usage


def key_usage(
    charged: int = 0, held: int = 0, all_held: int = 0, accepted: int = 0, month_left_seconds: float = 3600
) -> KeyUsage:
    spending = KeySpending(date(2026, 11, 1), charged, held, max(held, all_held))
    return KeyUsage(spending, accepted, month_left_seconds)


@dataclass
class Subject:
    """An admission with its clock."""

    usages: Usages = field(default_factory=Usages)
    keys: KeyUses = field(default_factory=KeyUses)
    now: float = 0.0

    def __post_init__(self) -> None:
        self.budgets = KeyBudgets(self.keys, lambda: self.now)
        self.admission = Admission(self.usages, LIMITS, self.budgets, lambda: self.now)

    async def admit(
        self, price: int = 1, limits: Mapping[str, float] | None = None, caller: Caller | None = None
    ) -> None:
        caller = caller or Caller("ten_a", "key_a", frozenset(), limits or {})
        await self.admission.admit_generation(caller, price)
