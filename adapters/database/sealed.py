"""Secrets that must be had again, sealed with a key that the database does not have.

AES-256-GCM (NIST SP 800-38D) with a random nonce. The text begins with the id of the master key that its key
is derived from; what it is sealed for is authenticated, so no row opens the secret of another.
"""

import base64
import binascii
import os

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from domain.errors import SecretUnreadable
from domain.keyring import Keyring

_PURPOSE = "sealed webhook secrets"
_NONCE_BYTES = 12


class Sealer:
    """Seals with the master key that signs, and opens with each that is accepted."""

    def __init__(self, keyring: Keyring) -> None:
        self._keyring = keyring

    @property
    def key_id(self) -> str:
        """Return what everything begins with that is sealed now."""
        return self._keyring.current.id

    def seal(self, secret: bytes, owner: str) -> str:
        """Seal a secret for its owner, an id."""
        key, nonce = self._keyring.current, os.urandom(_NONCE_BYTES)
        sealed = AESGCM(key.derive(_PURPOSE)).encrypt(nonce, secret, owner.encode())
        return f"{key.id}.{base64.b64encode(nonce + sealed).decode()}"

    def open(self, sealed: str, owner: str) -> bytes:
        """Raises SecretUnreadable if its master key is not accepted any more, or it is another owner's."""
        key_id, _, content = sealed.partition(".")
        key = self._keyring.find(key_id)
        if key is None:
            raise SecretUnreadable(f"it was sealed under the master key {key_id}, which is not accepted")
        try:
            raw = base64.b64decode(content, validate=True)
            return AESGCM(key.derive(_PURPOSE)).decrypt(
                raw[:_NONCE_BYTES], raw[_NONCE_BYTES:], owner.encode()
            )
        except (InvalidTag, ValueError, binascii.Error) as error:
            raise SecretUnreadable("it is not what was sealed") from error
