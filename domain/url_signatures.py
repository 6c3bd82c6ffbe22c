"""Signatures in our URLs: a provider's callback address, and a client's image address."""

import hashlib
import hmac
import re

from domain.errors import SignatureInvalid
from domain.provider import AttemptRef

_CALLBACK = re.compile(r"([1-9][0-9]{0,2})\.([0-9a-f]{64})")


def callback_token(master_key: str, attempt: AttemptRef) -> str:
    """Return the secret part of an attempt's callback address, `ordinal.mac`. Never log it."""
    return f"{attempt.ordinal}.{_mac(master_key, 'callback', attempt.generation_id, str(attempt.ordinal))}"


def read_callback_token(master_key: str, generation_id: str, token: str) -> AttemptRef:
    """Return the attempt a token was made for. Raises SignatureInvalid, and nothing else."""
    match = _CALLBACK.fullmatch(token)
    if match is None:
        raise SignatureInvalid
    attempt = AttemptRef(generation_id, int(match[1]))
    if not hmac.compare_digest(callback_token(master_key, attempt), token):
        raise SignatureInvalid
    return attempt


def image_signature(master_key: str, generation_id: str, index: int) -> str:
    """Return the signature that opens one image without an API key, for `<img>`. It does not expire."""
    return _mac(master_key, "image", generation_id, str(index))[:32]


def check_image_signature(master_key: str, generation_id: str, index: int, signature: str) -> None:
    """Raises SignatureInvalid unless the signature is ours for this image."""
    expected = image_signature(master_key, generation_id, index)
    if not hmac.compare_digest(expected.encode(), signature.encode(errors="replace")):
        raise SignatureInvalid


def _mac(master_key: str, *parts: str) -> str:
    # The purpose comes first and no part may hold the separator, so no two inputs share a message.
    message = "\n".join(parts).encode()
    return hmac.new(master_key.encode(), message, hashlib.sha256).hexdigest()
