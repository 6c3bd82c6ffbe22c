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
from domain.keyring import Keyring, MasterKey, mac
from domain.provider import AttemptRef, JobStatus, ProviderEvent, ProviderResult


class BflWebhookReader:
    """Accepts a webhook without a signature, and rejects one with a wrong signature.

    Forgeries are kept out by the callback address, which contains a token of its attempt. keyring: the
    same as the provider's.
    """

    def __init__(self, keyring: Keyring) -> None:
        self._keyring = keyring

    async def read_event(self, headers: Mapping[str, str], body: bytes, attempt: AttemptRef) -> ProviderEvent:
        given = headers.get("x-bfl-signature")
        if given is not None and not self._is_genuine(given, body, attempt):
            raise SignatureInvalid
        job_id = identifier(event_object(body).get("id"))
        if job_id is None:
            raise SignatureInvalid
        return ProviderEvent(hashlib.sha256(body).hexdigest(), job_id, ProviderResult(JobStatus.CHECK))

    def _is_genuine(self, given: str, body: bytes, attempt: AttemptRef) -> bool:
        sent = given.encode(errors="replace")
        secrets = [webhook_secret(key, attempt) for key in self._keyring.accepted]
        return any(hmac.compare_digest(sent, signature(secret, body)) for secret in secrets)


def webhook_secret(key: MasterKey, attempt: AttemptRef) -> str:
    """Return the secret of one attempt's webhook. It is sent in plain text, so each attempt has its own."""
    return mac(key, "bfl webhook", attempt.generation_id, str(attempt.ordinal))


def signature(secret: str, body: bytes) -> bytes:
    """Return the header's value as BFL computes it."""
    return b"sha256=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest().encode()
