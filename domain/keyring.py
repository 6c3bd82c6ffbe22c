"""Keys for what we sign, derived from master keys: one for each purpose, and named by the master key's id.

The first master key signs; the others are accepted too, so that one can follow another without a stop.
"""

import hashlib
import hmac
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

_SALT = b"darkroom"
_ID_CHARACTERS = 8


@dataclass(frozen=True)
class MasterKey:
    """A master key. `id` names it in what it signed, and says nothing about it."""

    secret: str = field(repr=False)

    @cached_property
    def id(self) -> str:
        return self.derive("key id").hex()[:_ID_CHARACTERS]

    def derive(self, purpose: str) -> bytes:
        """Return the key of one purpose, 32 bytes (RFC 5869, HKDF with SHA-256)."""
        extracted = hmac.digest(_SALT, self.secret.encode(), "sha256")
        return hmac.digest(extracted, purpose.encode() + b"\x01", "sha256")


@dataclass(frozen=True)
class Keyring:
    """The master keys of an installation: one signs, others are accepted, before or after their turn."""

    current: MasterKey
    others: tuple[MasterKey, ...] = ()

    @classmethod
    def of(cls, current: str, others: Sequence[str] = ()) -> "Keyring":
        return cls(MasterKey(current), tuple(MasterKey(secret) for secret in others))

    @property
    def accepted(self) -> tuple[MasterKey, ...]:
        return (self.current, *self.others)

    def find(self, key_id: str) -> MasterKey | None:
        """Return the key with this id, if it is accepted."""
        return next((key for key in self.accepted if key.id == key_id), None)


def mac(key: MasterKey, purpose: str, *parts: str) -> str:
    """Return the signature of `parts` for a purpose, as 64 hexadecimal digits. No part may hold a newline."""
    return hmac.new(key.derive(purpose), "\n".join(parts).encode(), hashlib.sha256).hexdigest()
