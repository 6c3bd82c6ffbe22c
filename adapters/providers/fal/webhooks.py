"""fal's webhooks: ED25519 over request id, user id, time and body hash, with keys from a shared JWKS.

The keys are fal's, not ours: any account's webhook bears a valid signature. So the account is pinned.
Reference: fal's page `model-apis/webhooks` (read 2026-08-21); the scheme in providers.md of several
independent verifiers agrees with it.
"""

import asyncio
import base64
import hashlib
import logging
import re
import time
from collections.abc import Callable, Mapping
from typing import Any

import httpx
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from adapters.providers import fal
from adapters.providers.answers import event_object, is_token, json_object
from domain.errors import SignatureInvalid, VerificationUnavailable
from domain.provider import AttemptRef, JobStatus, ProviderEvent, ProviderResult

_log = logging.getLogger("darkroom.fal")
_TOLERANCE_SECONDS = 300
_KEYS_LIVE_SECONDS = 24 * 3600
_KEYS_AGAIN_AFTER_SECONDS = 30
_KEYS_TIMEOUT_SECONDS = 5
_MOST_KEYS = 20
_TIMESTAMP = re.compile(r"[0-9]{10,11}")
_STATUS_CODE = re.compile(r"status code: ([1-5][0-9]{2})\b")


class FalKeys:
    """fal's public keys, fetched when first needed and kept for a day.

    A signature that no kept key verifies may come from a new key, so the set is asked for again, at most
    every 30 seconds, whether it then comes or not.
    """

    def __init__(
        self, http: httpx.AsyncClient, jwks_url: str, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._http = http
        self._url = jwks_url
        self._clock = clock
        self._keys: tuple[Ed25519PublicKey, ...] = ()
        self._asked_at = float("-inf")
        self._fetched_at = float("-inf")
        self._lock = asyncio.Lock()

    async def verify(self, signature: bytes, message: bytes) -> bool:
        """Raises VerificationUnavailable if there are no keys to try."""
        if self._clock() - self._fetched_at < _KEYS_LIVE_SECONDS and self._matches(signature, message):
            return True
        async with self._lock:
            if self._clock() - self._asked_at > _KEYS_AGAIN_AFTER_SECONDS:
                await self._fetch()
        if not self._keys:
            raise VerificationUnavailable("fal's keys cannot be had")
        return self._matches(signature, message)

    def _matches(self, signature: bytes, message: bytes) -> bool:
        for key in self._keys:
            try:
                key.verify(signature, message)
            except InvalidSignature:
                continue
            return True
        return False

    async def _fetch(self) -> None:
        """The kept keys go on counting while fal's page is away or holds none."""
        self._asked_at = self._clock()
        try:
            async with asyncio.timeout(_KEYS_TIMEOUT_SECONDS):
                response = await self._http.get(self._url)
            response.raise_for_status()
        except (httpx.HTTPError, TimeoutError) as error:
            _log.warning("fal's keys could not be fetched: %s", type(error).__name__)
            return
        if keys := _public_keys(json_object(response)):
            self._keys, self._fetched_at = keys, self._clock()
        else:
            _log.warning("fal's page of keys holds none that can be read")


class FalWebhookReader:
    """Believes a webhook only if it is signed, fresh and from our own account."""

    def __init__(self, keys: FalKeys, *, user_id: str, now: Callable[[], float] = time.time) -> None:
        self._keys = keys
        self._user_id = user_id
        self._now = now

    async def read_event(self, headers: Mapping[str, str], body: bytes, attempt: AttemptRef) -> ProviderEvent:
        request_id = headers.get("x-fal-webhook-request-id", "")
        user_id = headers.get("x-fal-webhook-user-id", "")
        timestamp = headers.get("x-fal-webhook-timestamp", "")
        signature = _unhex(headers.get("x-fal-webhook-signature", ""))
        if user_id != self._user_id or _TIMESTAMP.fullmatch(timestamp) is None:
            raise SignatureInvalid
        if abs(self._now() - int(timestamp)) > _TOLERANCE_SECONDS:
            raise SignatureInvalid
        lines = (request_id, user_id, timestamp, hashlib.sha256(body).hexdigest())
        if not await self._keys.verify(signature, "\n".join(lines).encode(errors="replace")):
            raise SignatureInvalid
        event = event_object(body)
        if not is_token(request_id) or event.get("request_id") != request_id:
            raise SignatureInvalid
        # fal repeats a delivery with a new timestamp, so what it says is what identifies it.
        return ProviderEvent(hashlib.sha256(body).hexdigest(), request_id, _result(event))


def _result(event: Mapping[str, Any]) -> ProviderResult:
    """What the event says, or CHECK where it says nothing that can be relied on."""
    payload = event.get("payload")
    if event.get("payload_error") or not isinstance(payload, dict):
        return ProviderResult(JobStatus.CHECK)
    if event.get("status") == "OK":
        return fal.success(payload, None)
    if event.get("status") == "ERROR":
        words = event.get("error")
        code = _STATUS_CODE.search(words) if isinstance(words, str) else None
        # Without a status nobody can say whether it was billed; the queue knows.
        return fal.failure(int(code[1]), payload) if code else ProviderResult(JobStatus.CHECK)
    return ProviderResult(JobStatus.CHECK)


def _unhex(text: str) -> bytes:
    try:
        return bytes.fromhex(text)
    except ValueError:
        raise SignatureInvalid from None


def _public_keys(page: Mapping[str, Any]) -> tuple[Ed25519PublicKey, ...]:
    """The Ed25519 keys of a JWKS; those of another kind and broken ones are passed over."""
    listed = page.get("keys")
    keys = [_public_key(key) for key in listed[:_MOST_KEYS]] if isinstance(listed, list) else []
    return tuple(key for key in keys if key is not None)


def _public_key(key: object) -> Ed25519PublicKey | None:
    match key:
        case {"kty": "OKP", "crv": "Ed25519", "x": str(x)}:
            try:
                raw = base64.urlsafe_b64decode(x + "=" * (-len(x) % 4))
                return Ed25519PublicKey.from_public_bytes(raw)
            except ValueError:
                return None
        case _:
            return None
