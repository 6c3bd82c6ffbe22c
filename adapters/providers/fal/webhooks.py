"""fal's webhooks: ED25519 over request id, user id, time and body hash, with keys from a shared JWKS.

The keys are fal's and sign the webhooks of every account, so the reader compares the account, too.
Reference: fal's page `model-apis/webhooks` (read 2026-08-21), with which several independent verifiers agree.
"""

import asyncio
import base64
import hashlib
import logging
import re
import time
from collections.abc import Callable, Mapping
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from adapters.providers.fal.adapter import failure, success
from adapters.providers.http.gateways import identifier
from adapters.providers.http.responses import event_object, is_token, json_object
from adapters.providers.http.webhook_timestamps import is_recent
from adapters.transport.errors import HttpError
from adapters.transport.http import HttpClient, Request
from domain.errors import SignatureInvalid, VerificationUnavailable
from domain.provider import AttemptRef, JobStatus, ProviderEvent, ProviderResult

_log = logging.getLogger("darkroom.fal")
_KEYS_LIFETIME_SECONDS = 3600
# fal's page asks to keep them for no longer than a day.
_KEYS_MAX_AGE_SECONDS = 24 * 3600
_KEYS_MIN_INTERVAL_SECONDS = 30
_KEYS_TIMEOUT_SECONDS = 5
_MAX_KEYS = 20
_STATUS_CODE = re.compile(r"status code: ([1-5][0-9]{2})\b")


class FalKeys:
    """fal's public keys, downloaded when first needed and again after an hour, so that a withdrawn one goes.

    While their page is unavailable they are believed for a day at most.

    A signature that no cached key verifies may come from a new key, so the keys are downloaded again, at most
    every 30 seconds, whether or not that succeeds.
    """

    def __init__(
        self, http: HttpClient, jwks_url: str, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._http = http
        self._url = jwks_url
        self._clock = clock
        self._keys: tuple[Ed25519PublicKey, ...] = ()
        self._requested_at = float("-inf")
        self._downloaded_at = float("-inf")
        self._lock = asyncio.Lock()

    async def verify(self, signature: bytes, message: bytes) -> bool:
        """Return whether a key verifies the signature. Raises VerificationUnavailable without recent keys."""
        is_fresh = self._clock() - self._downloaded_at < _KEYS_LIFETIME_SECONDS
        if is_fresh and self._matches(signature, message):
            return True
        async with self._lock:
            if self._clock() - self._requested_at > _KEYS_MIN_INTERVAL_SECONDS:
                await self._download()
        if self._clock() - self._downloaded_at >= _KEYS_MAX_AGE_SECONDS:
            raise VerificationUnavailable("fal's keys are not available")
        return self._matches(signature, message)

    def _matches(self, signature: bytes, message: bytes) -> bool:
        for key in self._keys:
            try:
                key.verify(signature, message)
            except InvalidSignature:
                continue
            return True
        return False

    async def _download(self) -> None:
        """Replace the keys; the cached ones stay valid while fal's page is unavailable or has none."""
        self._requested_at = self._clock()
        try:
            async with asyncio.timeout(_KEYS_TIMEOUT_SECONDS):
                response = await self._http.send(Request("GET", self._url))
        except (HttpError, TimeoutError) as error:
            _log.warning("fal's keys could not be downloaded: %s", str(error) or type(error).__name__)
            return
        if not response.is_success:
            _log.warning("fal's keys could not be downloaded: %s", response.status_code)
        elif keys := _public_keys(json_object(response)):
            self._keys, self._downloaded_at = keys, self._clock()
        else:
            _log.warning("fal's page of keys has no readable key")


class FalWebhookReader:
    """Accepts a webhook only if it is signed, recent and from our own account."""

    def __init__(self, keys: FalKeys, *, user_id: str, now: Callable[[], float] = time.time) -> None:
        self._keys = keys
        self._user_id = user_id
        self._now = now

    async def read_event(self, headers: Mapping[str, str], body: bytes, attempt: AttemptRef) -> ProviderEvent:
        request_id = headers.get("x-fal-webhook-request-id", "")
        user_id = headers.get("x-fal-webhook-user-id", "")
        timestamp = headers.get("x-fal-webhook-timestamp", "")
        signature = _signature_bytes(headers.get("x-fal-webhook-signature", ""))
        if user_id != self._user_id or not is_recent(timestamp, self._now()):
            raise SignatureInvalid
        lines = (request_id, user_id, timestamp, hashlib.sha256(body).hexdigest())
        if not await self._keys.verify(signature, "\n".join(lines).encode(errors="replace")):
            raise SignatureInvalid
        event = event_object(body)
        if not is_token(request_id) or identifier(event.get("request_id")) != request_id:
            raise SignatureInvalid
        # fal repeats a delivery with a new timestamp, so the body is what identifies it.
        return ProviderEvent(hashlib.sha256(body).hexdigest(), request_id, _result(event))


def _result(event: Mapping[str, Any]) -> ProviderResult:
    """Return the event's result, or CHECK where the event is not clear."""
    payload = event.get("payload")
    if event.get("payload_error") or not isinstance(payload, dict):
        return ProviderResult(JobStatus.CHECK)
    if event.get("status") == "OK":
        return success(payload, None)
    if event.get("status") == "ERROR":
        message = event.get("error")
        code = _STATUS_CODE.search(message) if isinstance(message, str) else None
        # Only the status says whether it was billed; without one, the queue has to be polled.
        return failure(int(code[1]), payload) if code else ProviderResult(JobStatus.CHECK)
    return ProviderResult(JobStatus.CHECK)


def _signature_bytes(text: str) -> bytes:
    try:
        return bytes.fromhex(text)
    except ValueError:
        raise SignatureInvalid from None


def _public_keys(page: Mapping[str, Any]) -> tuple[Ed25519PublicKey, ...]:
    """Return the Ed25519 keys of a JWKS; those of another kind and malformed ones are ignored."""
    listed = page.get("keys")
    keys = [_public_key(key) for key in listed[:_MAX_KEYS]] if isinstance(listed, list) else []
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
