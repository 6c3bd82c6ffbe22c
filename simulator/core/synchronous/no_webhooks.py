"""A provider that has no webhooks."""

from simulator.core.faults.switches import Fault
from simulator.core.jobs import Job


class NoWebhooks:
    """Stands where others word and sign theirs; no job here has an address to send one to."""

    def schedule(self, job: Job) -> dict[str, float]:
        return {}

    async def body(self, job: Job, event: str) -> bytes:
        raise AssertionError(f"{job.id} has no webhook")

    def headers(self, job: Job, event: str, body: bytes, faults: dict[str, Fault]) -> dict[str, str]:
        raise AssertionError(f"{job.id} has no webhook")
