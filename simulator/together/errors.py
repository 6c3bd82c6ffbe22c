"""Together's error envelope, which is documented; its messages and codes are not."""

from simulator.core.faults.switches import Fault
from simulator.core.rejected import Rejected


def rejection(
    status: int,
    message: str,
    *,
    kind: str = "invalid_request_error",
    param: str | None = None,
    code: str | None = None,
) -> Rejected:
    """Return an error. kind: the envelope's `type`."""
    return Rejected(status, {"error": {"message": message, "type": kind, "param": param, "code": code}})


def invalid_key() -> Rejected:
    return rejection(401, "Invalid API key provided.", code="invalid_api_key")


def rejection_for(fault: Fault) -> Rejected:
    """Return the error for a fault."""
    match fault.name:
        case "submit_429":
            throttled = rejection(429, "You have reached the rate limit of this model.", kind="rate_limit")
            throttled.headers["Retry-After"] = f"{fault.number('retry_after'):g}"
            return throttled
        case "insufficient_quota":
            return rejection(402, "Your credit limit is used up.", kind="credit_limit")
        case "invalid_key":
            return invalid_key()
        case "submit_503":
            return rejection(503, "The server is overloaded or not ready yet.", kind="overloaded_error")
        case "reject":
            return rejection(422, "NSFW content detected in prompt", param="prompt")
        case "moderation":
            return rejection(422, "NSFW content detected in image")
        case _:
            return rejection(
                500, "The server had an error while processing your request.", kind="server_error"
            )
