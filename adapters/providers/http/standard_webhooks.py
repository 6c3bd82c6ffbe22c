"""Webhooks signed by the rules of standardwebhooks.com, as Replicate, OpenAI and Gemini sign theirs.

HMAC-SHA256 over `{id}.{timestamp}.{body}` with a secret written as `whsec_` and base64. A message may have
several signatures and we may have several secrets, so that either side can change its secret at any time.
"""

import base64
import binascii
import hashlib
import hmac
from collections.abc import Iterable, Mapping

from adapters.providers.http.responses import is_token
from adapters.providers.http.webhook_timestamps import is_recent
from domain.errors import SignatureInvalid

_MAX_SIGNATURES = 20
_PREFIX = "whsec_"
# What the scheme asks for.
MIN_KEY_BYTES = 24


class StandardWebhooks:
    """Verifies messages with each of several secrets.

    Raises ValueError for a malformed secret, so that a mistake in the configuration shows at the start.
    """

    def __init__(self, secrets: Iterable[str]) -> None:
        self._keys = tuple(signing_key(secret) for secret in secrets)
        if not self._keys:
            raise ValueError("webhooks cannot be verified without a secret")

    def verify(self, headers: Mapping[str, str], body: bytes, now: float) -> str:
        """Return the message's id, the same in every repeat of it. Raises SignatureInvalid.

        headers: names in lower case.
        """
        message_id, timestamp = headers.get("webhook-id", ""), headers.get("webhook-timestamp", "")
        if not is_token(message_id) or not is_recent(timestamp, now):
            raise SignatureInvalid
        signed = f"{message_id}.{timestamp}.".encode() + body
        given = _signatures(headers.get("webhook-signature", ""))
        expected = [hmac.digest(key, signed, hashlib.sha256) for key in self._keys]
        if not any(hmac.compare_digest(one, other) for one in expected for other in given):
            raise SignatureInvalid
        return message_id


def _signatures(header: str) -> list[bytes]:
    """Return the signatures of version 1; others are ignored."""
    found = []
    for entry in header.split(" ", _MAX_SIGNATURES)[:_MAX_SIGNATURES]:
        version, _, signature = entry.partition(",")
        if version == "v1" and signature.isascii():
            try:
                found.append(base64.b64decode(signature, validate=True))
            except binascii.Error:
                continue
    return found


def signing_key(secret: str) -> bytes:
    """Return the key in a secret. Raises ValueError, which does not show it."""
    try:
        key = base64.b64decode(secret.removeprefix(_PREFIX), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if not secret.startswith(_PREFIX) or not key:
        raise ValueError(f"a webhook secret is {_PREFIX} and base64")
    return key
