"""The options of a simulator process."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Options:
    """One process simulates one provider account.

    key: the only accepted key; None accepts every key.
    user_id: the account that webhooks are signed for, or that responses name.
    job_seconds: about how long a job takes; jobs differ by up to a quarter.
    webhook_retry_seconds: pauses between attempts; None uses the provider's own.
    public_url: where clients reach the server; None uses scheme and host of each request.
    polling_port: of the regional host, for a provider that has one; None is the next port.
    polling_url: where clients reach it, if not at this port of the same host.
    result_seconds: how long results are available after a job's end; None uses the provider's own.
    active_jobs: the maximum of open jobs at a provider with such a limit; None uses its own.
    """

    provider: str
    host: str
    port: int
    state: Path
    key: str | None = None
    user_id: str = "user_simulator"
    job_seconds: float = 2.0
    webhook_retry_seconds: tuple[float, ...] | None = None
    public_url: str | None = None
    polling_port: int | None = None
    polling_url: str | None = None
    result_seconds: float | None = None
    active_jobs: int | None = None
    tls: bool = False
