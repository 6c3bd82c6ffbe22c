"""What a tenant may do: rates, limits of open work and of storage, and how long its data is kept."""

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from enum import StrEnum
from typing import Any

from domain.errors import InvalidInput

MAX_LIMIT = 10**15


class RatePolicy(StrEnum):
    """Which allowance a request takes from. Canceling and reading have their own, to work in a flood."""

    CREATE = "create"
    READ = "read"
    CANCEL = "cancel"


@dataclass(frozen=True)
class Rate:
    """So many requests at once, and so many a second after that."""

    per_second: float
    burst: int

    @property
    def window_seconds(self) -> float:
        """Return how long an empty allowance takes to fill."""
        return self.burst / self.per_second


@dataclass(frozen=True)
class TenantLimits:
    """The limits of one tenant, over all its keys.

    Attributes:
        max_open_generations: Those that have not ended.
        max_waiting_generations: Those that no provider has yet.
        max_files: Input files that have not expired.
        max_file_bytes: All of them together.
        max_uncharged_credits: In a day (UTC), the prices of what a provider had taken on and the client did
            not pay: canceled late, or refused on content grounds.
        max_webhook_endpoints: Those that are not deleted.
        max_api_keys: Those that are neither revoked nor expired, for keys that make keys.
        max_open_batches: Those that have not ended.
        max_batch_concurrency: How many generations of a batch may be open at once.
    """

    creates_per_second: float = 100.0
    create_burst: int = 2000
    reads_per_second: float = 500.0
    read_burst: int = 5000
    cancels_per_second: float = 100.0
    cancel_burst: int = 2000
    max_open_generations: int = 10_000
    max_waiting_generations: int = 5000
    max_files: int = 10_000
    max_file_bytes: int = 10_000_000_000
    max_uncharged_credits: int = 10_000
    max_webhook_endpoints: int = 20
    max_api_keys: int = 100
    max_open_batches: int = 10
    max_batch_concurrency: int = 100

    def rate(self, policy: RatePolicy) -> Rate:
        """Return the rate of an allowance."""
        per_second: float = getattr(self, f"{policy}s_per_second")
        burst: int = getattr(self, f"{policy}_burst")
        return Rate(per_second, burst)

    def with_overrides(self, overrides: Mapping[str, float]) -> "TenantLimits":
        """Return these limits with those that differ; a name that is not known any more changes nothing."""
        known: dict[str, Any] = {
            name: _typed(name, value) for name, value in overrides.items() if name in NAMES
        }
        return replace(self, **known)


NAMES = tuple(each.name for each in fields(TenantLimits))
# What a key may have limits of, inside those of its tenant.
KEY_LIMITS = tuple(name for name in NAMES if name.endswith(("_per_second", "_burst")))


def _typed(name: str, value: str | float) -> float:
    """Return a rate as it is, and what is counted as a whole number. Raises ValueError."""
    return float(value) if name.endswith("_per_second") else int(value)


def min_limit(name: str) -> float:
    """Return the smallest value that a limit may have."""
    return 0 if name.startswith("max_") else 1 if name.endswith("_burst") else 0.001


def read_limit(name: str, value: str, *, known: tuple[str, ...] = NAMES) -> float:
    """Return a limit that an operator wrote. Raises InvalidInput naming it and what it may be."""
    if name not in known:
        raise InvalidInput(errors=((name, f"one of {', '.join(known)}"),))
    smallest = min_limit(name)
    try:
        limit = _typed(name, value)
    except ValueError:
        limit = -1
    if not smallest <= limit <= MAX_LIMIT:
        kind = "a number" if name.endswith("_per_second") else "a whole number"
        raise InvalidInput(errors=((name, f"{kind} from {smallest} to {MAX_LIMIT}"),))
    return limit


@dataclass(frozen=True)
class TenantUsage:
    """What a tenant has in use. Counts stop a little above its limits.

    expiry_seconds: Until the next of its lots expires, after which fewer credits are available.
    """

    available_credits: int
    open_generations: int
    waiting_generations: int
    uncharged_credits: int
    expiry_seconds: float | None = None


@dataclass(frozen=True)
class FileUsage:
    """The input files of a tenant that have not expired."""

    files: int
    size_bytes: int
