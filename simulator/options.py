"""What one simulator process was asked to be."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Options:
    """One process simulates one provider account.

    key: the only key that is let in; None lets every key in.
    user_id: the account that webhooks are signed for.
    job_seconds: how long a job takes, about; jobs differ by up to a quarter.
    public_url: where clients reach the server; None takes scheme and host from each request.
    """

    provider: str
    host: str
    port: int
    state: Path
    key: str | None = None
    user_id: str = "user_simulator"
    job_seconds: float = 2.0
    webhook_retry_seconds: tuple[float, ...] = (1, 2, 5, 10, 20, 40, 40)
    public_url: str | None = None
    tls: bool = False
