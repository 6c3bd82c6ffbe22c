"""Together's error envelope, which is known, with words and codes that are not confirmed."""

from simulator.core.faults.switches import Fault
from simulator.core.rejected import Rejected


def refused(
    status: int,
    message: str,
    *,
    kind: str = "invalid_request_error",
    param: str | None = None,
    code: str | None = None,
) -> Rejected:
    """kind: the envelope's `type`."""
    return Rejected(status, {"error": {"message": message, "type": kind, "param": param, "code": code}})


def invalid_key() -> Rejected:
    return refused(401, "Invalid API key provided.", code="invalid_api_key")


def refused_by(fault: Fault) -> Rejected:
    """The error that a fault asks for."""
    match fault.name:
        case "submit_429":
            throttled = refused(429, "You have reached the rate limit of this model.", kind="rate_limit")
            throttled.headers["Retry-After"] = f"{fault.number('retry_after'):g}"
            return throttled
        case "insufficient_quota":
            return refused(402, "Your credit limit is used up.", kind="credit_limit")
        case "invalid_key":
            return invalid_key()
        case "submit_503":
            return refused(503, "The server is overloaded or not ready yet.", kind="overloaded_error")
        case "reject":
            return refused(422, "NSFW content detected in prompt", param="prompt")
        case "moderation":
            return refused(422, "NSFW content detected in image")
        case _:
            return refused(500, "The server had an error while processing your request.", kind="server_error")
