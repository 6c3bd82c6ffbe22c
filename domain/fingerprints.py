"""What an Idempotency-Key was used for, so that a repeat can be told from another request.

Stored is an HMAC and never a plain hash: a prompt can be guessed from its hash, also when it was erased.
"""

import hmac

from domain.keyring import Keyring, MasterKey, mac

_PURPOSE = "fingerprint"
_PLAIN_CHARACTERS = 64


def fingerprint(keyring: Keyring, digest_of_request: str) -> str:
    """Return what is stored of a request, `key.mac`: the key is named, as master keys are rotated."""
    return _under(keyring.current, digest_of_request)


def is_same_request(keyring: Keyring, stored: str, digest_of_request: str) -> bool:
    """Return whether a stored fingerprint is that of this request.

    Also true where that can no longer be told, as the master key of that time is retired: the same
    Idempotency-Key then decides alone, since a second job would be charged twice.
    """
    if is_plain(stored):
        return hmac.compare_digest(stored, digest_of_request)
    key_id, _, _ = stored.partition(".")
    key = keyring.find(key_id)
    return key is None or hmac.compare_digest(stored, _under(key, digest_of_request))


def is_plain(stored: str) -> bool:
    """Return whether a fingerprint is the bare hash that versions before stored."""
    return len(stored) == _PLAIN_CHARACTERS


def _under(key: MasterKey, digest_of_request: str) -> str:
    return f"{key.id}.{mac(key, _PURPOSE, digest_of_request)}"
