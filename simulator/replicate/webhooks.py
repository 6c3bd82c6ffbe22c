"""Replicate's webhooks: one message for each event, signed by the rules of Standard Webhooks."""

import hashlib
import hmac
import time
from base64 import b64encode

from simulator.core.faults.switches import Fault
from simulator.core.files import Files
from simulator.core.jobs import Job
from simulator.core.store import COMPLETED
from simulator.core.wire import dump
from simulator.replicate.responses import View, error_of, prediction

EVENTS = ("start", "output", "logs", COMPLETED)
DEFAULT_EVENTS = ("output", COMPLETED)
AFTER_OUTPUT_SECONDS = 0.05
_VIEWS = {
    "start": View("processing", has_output=False),
    "logs": View("processing", has_output=False),
    "output": View("processing", has_output=True),
}


class Signer:
    """Signs webhooks. key: 24 bytes, which clients have as `whsec_` and their base64."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    @property
    def secret(self) -> str:
        return f"whsec_{b64encode(self._key).decode()}"

    def sign(self, message_id: str, timestamp: str, body: bytes) -> str:
        content = f"{message_id}.{timestamp}.".encode() + body
        return f"v1,{b64encode(hmac.new(self._key, content, hashlib.sha256).digest()).decode()}"


class ReplicateWebhooks:
    """Builds, schedules and signs a prediction's webhooks."""

    def __init__(self, signer: Signer, files: Files) -> None:
        self._signer = signer
        self._files = files

    def schedule(self, job: Job) -> dict[str, float]:
        wanted = job.arguments["webhook_events_filter"]
        return {event: at for event, at in _moments(job).items() if event in wanted}

    async def body(self, job: Job, event: str) -> bytes:
        return dump(await prediction(job, self._files, job.base_url, _VIEWS.get(event)))

    def headers(self, job: Job, event: str, body: bytes, faults: dict[str, Fault]) -> dict[str, str]:
        """Return headers signed for this attempt; all attempts have the same id, so a repeat is visible."""
        stale = faults.get("stale_webhook")
        timestamp = str(int(time.time() - (0 if stale is None else stale.number("seconds"))))
        message_id = "msg_" + hashlib.sha256(f"{job.id}/{event}".encode()).hexdigest()[:27]
        signed = b"another body" if "forged_webhook" in faults else body
        return {
            "Content-Type": "application/json",
            "webhook-id": message_id,
            "webhook-timestamp": timestamp,
            "webhook-signature": self._signer.sign(message_id, timestamp, signed),
        }


def _moments(job: Job) -> dict[str, float]:
    """Return when each event of a job happens, if it does."""
    ended_at = job.ended_at()
    moments: dict[str, float] = {}
    if ended_at is None or ended_at > job.starts_at:
        moments["start"] = job.starts_at
        moments["logs"] = job.starts_at + (0 if ended_at is None else (ended_at - job.starts_at) / 2)
    if ended_at is None:
        return moments
    if job.canceled_at is None and error_of(job) is None:
        late = job.fault("late_output")
        moments["output"] = ended_at + (0 if late is None else late.number("seconds"))
        moments[COMPLETED] = ended_at + (AFTER_OUTPUT_SECONDS if late is None else 0)
    else:
        moments[COMPLETED] = ended_at
    return moments
