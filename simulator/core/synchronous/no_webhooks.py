"""A provider without webhooks."""

from simulator.core.faults.switches import Fault
from simulator.core.jobs import Job


class NoWebhooks:
    """The webhook format of a provider without webhooks; it is never used."""

    def schedule(self, job: Job) -> dict[str, float]:
        return {}

    async def body(self, job: Job, event: str) -> bytes:
        raise AssertionError(f"{job.id} has no webhook")

    def headers(self, job: Job, event: str, body: bytes, faults: dict[str, Fault]) -> dict[str, str]:
        raise AssertionError(f"{job.id} has no webhook")
