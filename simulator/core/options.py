"""What one simulator process was asked to be."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Options:
    """One process simulates one provider account.

    key: the only key that is let in; None lets every key in.
    user_id: the account that webhooks are signed for, or that answers name.
    job_seconds: how long a job takes, about; jobs differ by up to a quarter.
    webhook_retry_seconds: waits between attempts; None takes the provider's own.
    public_url: where clients reach the server; None takes scheme and host from each request.
    polling_port: where a provider with a regional host listens a second time; None is the next port.
    polling_url: where clients reach that one, if not at this port of the host they used first.
    result_seconds: how long results last after a job's end; None takes the provider's own.
    active_jobs: how many may be open at once at a provider that limits it; None takes its own limit.
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
