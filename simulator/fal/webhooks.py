"""fal's webhooks: the body, the ED25519 signature over it, and the JWKS to check it by."""

import hashlib
import time
from base64 import urlsafe_b64encode
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from simulator.core.faults.switches import Fault
from simulator.core.files import Files
from simulator.core.jobs import Job
from simulator.core.store import COMPLETED
from simulator.core.wire import dump
from simulator.fal import responses
from simulator.fal.errors import failure_of


class Signer:
    """Signs webhooks. seed: the 32 bytes of an ED25519 private key."""

    def __init__(self, seed: bytes) -> None:
        self._key = Ed25519PrivateKey.from_private_bytes(seed)

    def jwks(self) -> dict[str, Any]:
        x = urlsafe_b64encode(self._key.public_key().public_bytes_raw()).rstrip(b"=").decode()
        return {
            "keys": [{"kty": "OKP", "crv": "Ed25519", "use": "sig", "alg": "EdDSA", "kid": x[:8], "x": x}]
        }

    def sign(self, request_id: str, user_id: str, timestamp: str, body: bytes) -> str:
        """Return the signature in hex, over the raw bytes that are sent."""
        message = "\n".join((request_id, user_id, timestamp, hashlib.sha256(body).hexdigest()))
        return self._key.sign(message.encode()).hex()


class FalWebhooks:
    """Builds and signs a job's webhook."""

    def __init__(self, signer: Signer, user_id: str, files: Files) -> None:
        self._signer = signer
        self._user_id = user_id
        self._files = files

    def schedule(self, job: Job) -> dict[str, float]:
        return {} if job.ends_at is None else {COMPLETED: job.ends_at}

    async def body(self, job: Job, event: str) -> bytes:
        known = {"request_id": job.id, "gateway_request_id": job.id}
        failure = failure_of(job)
        if failure is not None:
            return dump({**known, "status": "ERROR", "error": failure.error, "payload": failure.body})
        payload = await responses.result(job, self._files, job.base_url)
        return dump({**known, "status": "OK", "payload": payload})

    def headers(self, job: Job, event: str, body: bytes, faults: dict[str, Fault]) -> dict[str, str]:
        """Return headers signed for this attempt, as the timestamp must be recent."""
        stale, wrong_account = faults.get("stale_webhook"), faults.get("wrong_account")
        timestamp = str(int(time.time() - (0 if stale is None else stale.number("seconds"))))
        user_id = self._user_id if wrong_account is None else wrong_account.text("user_id")
        signed = b"another body" if "forged_webhook" in faults else body
        return {
            "Content-Type": "application/json",
            "X-Fal-Webhook-Request-Id": job.id,
            "X-Fal-Webhook-User-Id": user_id,
            "X-Fal-Webhook-Timestamp": timestamp,
            "X-Fal-Webhook-Signature": self._signer.sign(job.id, user_id, timestamp, signed),
        }
