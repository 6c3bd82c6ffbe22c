"""Secrets of API keys: 32 random bytes, of which only SHA-256 is stored."""

import hashlib
import secrets
from dataclasses import dataclass

_KEY_BYTES = 32


@dataclass(frozen=True)
class KeySecret:
    """A new key: its id, what is stored of its secret, and the whole of it, which is shown once."""

    key_id: str
    sha256: str
    api_key: str


def new_key_secret() -> KeySecret:
    key_id, secret = secrets.token_hex(8), secrets.token_urlsafe(_KEY_BYTES)
    return KeySecret(key_id, digest(secret), f"dk_{key_id}_{secret}")


def digest(secret: str) -> str:
    return hashlib.sha256(secret.encode(errors="replace")).hexdigest()
