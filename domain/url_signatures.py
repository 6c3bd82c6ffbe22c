"""Signatures in our URLs: a provider's callback address, a client's image address, a watch token."""

import hashlib
import hmac
import re
from datetime import datetime, timedelta

from domain.errors import LinkExpired, SignatureInvalid
from domain.keyring import Keyring, MasterKey, mac
from domain.provider import AttemptRef

_CALLBACK = re.compile(r"([1-9][0-9]{0,2})\.(?:([0-9a-f]{8})\.)?([0-9a-f]{64})")
_IMAGE = re.compile(r"([0-9a-f]{8})\.([0-9]{1,12})\.([0-9a-f]{32})")
_WATCH = re.compile(r"wt_([0-9a-f]{8})\.([0-9]{1,12})\.([0-9a-f]{64})")
_IMAGE_MAC_CHARACTERS = 32
_DAY_SECONDS = 86_400


def callback_token(key: MasterKey, attempt: AttemptRef) -> str:
    """Return the secret part of an attempt's callback address, `ordinal.key.mac`. Never log it."""
    return f"{attempt.ordinal}.{key.id}.{mac(key, 'callback', attempt.generation_id, str(attempt.ordinal))}"


def accepted_callback_tokens(keyring: Keyring, attempt: AttemptRef) -> tuple[str, ...]:
    """Return every token that is accepted for an attempt: of each key, today's form and the one before it."""
    return tuple(
        token
        for key in keyring.accepted
        for token in (callback_token(key, attempt), _callback_token_without_key(key, attempt))
    )


def read_callback_token(keyring: Keyring, generation_id: str, token: str) -> AttemptRef:
    """Return the attempt a token was made for. Raises SignatureInvalid, and nothing else."""
    match = _CALLBACK.fullmatch(token)
    if match is None:
        raise SignatureInvalid
    attempt = AttemptRef(generation_id, int(match[1]))
    if not any(hmac.compare_digest(known, token) for known in accepted_callback_tokens(keyring, attempt)):
        raise SignatureInvalid
    return attempt


def image_link_expiry(now: datetime, lifetime: timedelta) -> int:
    """Return when a link made now ends, in Unix seconds: at the end of a day (UTC), after its lifetime.

    So the links of one day are alike, and caches know them.
    """
    days, rest = divmod(int((now + lifetime).timestamp()), _DAY_SECONDS)
    return (days + (rest > 0)) * _DAY_SECONDS


def image_signature(keyring: Keyring, generation_id: str, index: int, expires_at: int) -> str:
    """Return the signature that opens one image without an API key, for `<img>`: `key.expiry.mac`.

    expires_at: in Unix seconds.
    """
    return _image_signature(keyring.current, generation_id, index, expires_at)


def check_image_signature(
    keyring: Keyring, generation_id: str, index: int, signature: str, now: datetime
) -> None:
    """Raises SignatureInvalid unless it is our signature of this image, LinkExpired if its time is over."""
    match = _IMAGE.fullmatch(signature)
    key = keyring.find(match[1]) if match else None
    if match is None or key is None:
        raise SignatureInvalid
    expires_at = int(match[2])
    expected = _image_signature(key, generation_id, index, expires_at)
    if not hmac.compare_digest(expected, signature):
        raise SignatureInvalid
    if now.timestamp() >= expires_at:
        raise LinkExpired


def watch_token(keyring: Keyring, generation_id: str, expires_at: int) -> str:
    """Return a token that reads one generation and its events, `wt_key.expiry.mac`.

    expires_at: in Unix seconds.
    """
    return _watch_token(keyring.current, generation_id, expires_at)


def check_watch_token(keyring: Keyring, generation_id: str, token: str, now: datetime) -> None:
    """Raises SignatureInvalid unless it is our token for this generation, LinkExpired if its time is over."""
    match = _WATCH.fullmatch(token)
    key = keyring.find(match[1]) if match else None
    if match is None or key is None:
        raise SignatureInvalid
    expires_at = int(match[2])
    if not hmac.compare_digest(_watch_token(key, generation_id, expires_at), token):
        raise SignatureInvalid
    if now.timestamp() >= expires_at:
        raise LinkExpired


def _watch_token(key: MasterKey, generation_id: str, expires_at: int) -> str:
    return f"wt_{key.id}.{expires_at}.{mac(key, 'watch', generation_id, str(expires_at))}"


def _image_signature(key: MasterKey, generation_id: str, index: int, expires_at: int) -> str:
    signed = mac(key, "image link", generation_id, str(index), str(expires_at))
    return f"{key.id}.{expires_at}.{signed[:_IMAGE_MAC_CHARACTERS]}"


def _callback_token_without_key(key: MasterKey, attempt: AttemptRef) -> str:
    """Return the token as it was before keys had ids: jobs of that time may still be reported."""
    message = f"callback\n{attempt.generation_id}\n{attempt.ordinal}"
    return f"{attempt.ordinal}.{hmac.new(key.secret.encode(), message.encode(), hashlib.sha256).hexdigest()}"
