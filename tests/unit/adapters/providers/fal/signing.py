"""Signing as fal does, and a page of keys that can be changed, broken and counted."""

import base64
import hashlib
import json
from typing import Any

import httpx
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from adapters.transport.http import HttpClient

JWKS_URL = "https://rest.fal.test/.well-known/jwks.json"
USER_ID = "user-1"
NOW = 1_700_000_000
OK = {"request_id": "r-1", "gateway_request_id": "r-1", "status": "OK", "payload": {"images": []}}


class Clock:
    """A clock that moves only when a test moves it."""

    def __init__(self, seconds: float = 1000.0) -> None:
        self.seconds = seconds

    def __call__(self) -> float:
        return self.seconds


class Account:
    """An account with a signing key. seed: the 32 bytes of the private key."""

    def __init__(self, seed: bytes = bytes(range(32)), user_id: str = USER_ID) -> None:
        self._key = Ed25519PrivateKey.from_private_bytes(seed)
        self._user_id = user_id

    @property
    def jwk(self) -> dict[str, Any]:
        x = base64.urlsafe_b64encode(self._key.public_key().public_bytes_raw()).rstrip(b"=").decode()
        return {"kty": "OKP", "crv": "Ed25519", "use": "sig", "x": x}

    def sign(self, message: bytes) -> bytes:
        return self._key.sign(message)

    def headers(self, body: bytes, *, request_id: str = "r-1", timestamp: object = NOW) -> dict[str, str]:
        """Return the headers of a genuine webhook with this body."""
        lines = (request_id, self._user_id, str(timestamp), hashlib.sha256(body).hexdigest())
        return {
            "x-fal-webhook-request-id": request_id,
            "x-fal-webhook-user-id": self._user_id,
            "x-fal-webhook-timestamp": str(timestamp),
            "x-fal-webhook-signature": self.sign("\n".join(lines).encode(errors="replace")).hex(),
        }


class KeyPage:
    """fal's page of keys. `answer` is what it serves next: a page, raw bytes, a response or an error."""

    def __init__(self, answer: object) -> None:
        self.answer = answer
        self.asked = 0
        self.http = HttpClient(httpx.AsyncClient(transport=httpx.MockTransport(self._serve)))

    def _serve(self, _request: httpx.Request) -> httpx.Response:
        self.asked += 1
        match self.answer:
            case httpx.HTTPError() as error:
                raise error
            case httpx.Response() as response:
                return response
            case bytes() as content:
                return httpx.Response(200, content=content)
            case page:
                return httpx.Response(200, json=page)


def page_of(*accounts: Account) -> dict[str, Any]:
    return {"keys": [account.jwk for account in accounts]}


def dumped(event: object) -> bytes:
    return json.dumps(event).encode()
