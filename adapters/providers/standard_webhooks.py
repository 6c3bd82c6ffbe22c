"""Webhooks signed by the rules of standardwebhooks.com, as Replicate, OpenAI and Gemini sign theirs.

HMAC-SHA256 over `{id}.{timestamp}.{body}` with a secret written as `whsec_` and base64. A message may bear
several signatures and we may hold several secrets, so that either side can change its secret at leisure.
"""

import base64
import binascii
import hashlib
import hmac
import re
from collections.abc import Iterable, Mapping

from adapters.providers.answers import is_token
from domain.errors import SignatureInvalid

_TOLERANCE_SECONDS = 300
_MOST_SIGNATURES = 20
_PREFIX = "whsec_"
_TIMESTAMP = re.compile(r"[0-9]{10,11}")


class StandardWebhooks:
    """Verifies with every secret that it holds.

    Raises ValueError for a secret that is none: that is our configuration, and found out at the start.
    """

    def __init__(self, secrets: Iterable[str]) -> None:
        self._keys = tuple(_key(secret) for secret in secrets)
        if not self._keys:
            raise ValueError("webhooks cannot be verified without a secret")

    def verify(self, headers: Mapping[str, str], body: bytes, now: float) -> str:
        """The message's id, the same in every repeat of it. Raises SignatureInvalid.

        headers: names in lower case.
        """
        message_id, timestamp = headers.get("webhook-id", ""), headers.get("webhook-timestamp", "")
        if not is_token(message_id) or _TIMESTAMP.fullmatch(timestamp) is None:
            raise SignatureInvalid
        if abs(now - int(timestamp)) > _TOLERANCE_SECONDS:
            raise SignatureInvalid
        signed = f"{message_id}.{timestamp}.".encode() + body
        given = _signatures(headers.get("webhook-signature", ""))
        ours = [hmac.digest(key, signed, hashlib.sha256) for key in self._keys]
        if not any(hmac.compare_digest(one, other) for one in ours for other in given):
            raise SignatureInvalid
        return message_id


def _signatures(header: str) -> list[bytes]:
    """Those of version 1; others are passed over."""
    found = []
    for entry in header.split(" ", _MOST_SIGNATURES)[:_MOST_SIGNATURES]:
        version, _, signature = entry.partition(",")
        if version == "v1" and signature.isascii():
            try:
                found.append(base64.b64decode(signature, validate=True))
            except binascii.Error:
                continue
    return found


def _key(secret: str) -> bytes:
    try:
        key = base64.b64decode(secret.removeprefix(_PREFIX), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if not secret.startswith(_PREFIX) or not key:
        raise ValueError(f"a webhook secret is {_PREFIX} and base64")
    return key
