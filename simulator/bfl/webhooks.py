"""Black Forest Labs' webhooks, signed with the secret of the request, if it has one."""

import hashlib
import hmac

from simulator.bfl.responses import webhook
from simulator.core.faults.switches import Fault
from simulator.core.files import Files
from simulator.core.jobs import Job
from simulator.core.store import COMPLETED
from simulator.core.wire import dump


def signature(secret: str, body: bytes) -> str:
    return "sha256=" + hmac.new(secret.encode("utf-8", "replace"), body, hashlib.sha256).hexdigest()


class BflWebhooks:
    """Builds and signs a task's webhook, which has no timestamp."""

    def __init__(self, files: Files) -> None:
        self._files = files

    def schedule(self, job: Job) -> dict[str, float]:
        return {} if job.ends_at is None else {COMPLETED: job.ends_at}

    async def body(self, job: Job, event: str) -> bytes:
        return dump(webhook(job, self._files))

    def headers(self, job: Job, event: str, body: bytes, faults: dict[str, Fault]) -> dict[str, str]:
        headers = {"Content-Type": "application/json"}
        secret = job.arguments["webhook_secret"]
        if "forged_webhook" in faults:
            headers["X-BFL-Signature"] = signature("another secret", body)
        elif secret and "unsigned_webhook" not in faults:
            headers["X-BFL-Signature"] = signature(secret, body)
        return headers
