"""BFL's webhooks, which are never more than a reason to poll: BFL signs no time, and may not sign at all.

Reference: BFL's pages on integration (read 2026-08-21), of which a single one describes `X-BFL-Signature`;
nothing else about webhooks is confirmed.
"""

import hashlib
import hmac
from collections.abc import Mapping

from adapters.providers.http.gateways import identifier
from adapters.providers.http.responses import event_object
from domain.errors import SignatureInvalid
from domain.provider import AttemptRef, JobStatus, ProviderEvent, ProviderResult


class BflWebhookReader:
    """Accepts a webhook without a signature, and rejects one with a wrong signature.

    Forgeries are kept out by the callback address, which contains a token of its attempt. master_key: the
    same as the provider's.
    """

    def __init__(self, master_key: str) -> None:
        self._master_key = master_key

    async def read_event(self, headers: Mapping[str, str], body: bytes, attempt: AttemptRef) -> ProviderEvent:
        given = headers.get("x-bfl-signature")
        if given is not None and not self._is_genuine(given, body, attempt):
            raise SignatureInvalid
        job_id = identifier(event_object(body).get("id"))
        if job_id is None:
            raise SignatureInvalid
        return ProviderEvent(hashlib.sha256(body).hexdigest(), job_id, ProviderResult(JobStatus.CHECK))

    def _is_genuine(self, given: str, body: bytes, attempt: AttemptRef) -> bool:
        return hmac.compare_digest(
            given.encode(errors="replace"), signature(webhook_secret(self._master_key, attempt), body)
        )


def webhook_secret(master_key: str, attempt: AttemptRef) -> str:
    """Return the secret of one attempt's webhook. It is sent in plain text, so each attempt has its own."""
    message = f"bfl webhook:{attempt.generation_id}/{attempt.ordinal}"
    return hmac.new(master_key.encode(), message.encode(), hashlib.sha256).hexdigest()


def signature(secret: str, body: bytes) -> bytes:
    """Return the header's value as BFL computes it."""
    return b"sha256=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest().encode()
