"""Signing by Standard Webhooks, with the published example."""

import base64
import hashlib
import hmac

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"  # noqa: S105 - the published example, not a secret
OTHER = "whsec_" + base64.b64encode(b"another secret of ours").decode()
NOW = 1_614_265_330
BODY = b'{"test": 2432232314}'
SIGNATURE = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
GENUINE = {
    "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
    "webhook-timestamp": str(NOW),
    "webhook-signature": SIGNATURE,
}


def signed(body: bytes, *, secret: str = SECRET, **changes: str) -> dict[str, str]:
    """Return genuine headers with these values."""
    headers = {**GENUINE, **{name.replace("_", "-"): value for name, value in changes.items()}}
    message = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode(errors="replace") + body
    digest = hmac.digest(base64.b64decode(secret.removeprefix("whsec_")), message, hashlib.sha256)
    return {**headers, "webhook-signature": "v1," + base64.b64encode(digest).decode()}
