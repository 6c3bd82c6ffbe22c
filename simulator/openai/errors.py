"""OpenAI's error envelope, and which error each fault is."""

from typing import Any

from simulator.core.faults.switches import Fault
from simulator.core.rejected import Rejected


def rejection(
    status: int,
    message: str,
    *,
    code: str | None,
    kind: str = "invalid_request_error",
    param: str | None = None,
) -> Rejected:
    """Return an error. kind: the envelope's `type`."""
    return Rejected(status, {"error": {"message": message, "type": kind, "param": param, "code": code}})


def invalid_key() -> Rejected:
    message = "Incorrect API key provided. You can find your API key in your account settings."
    return rejection(401, message, code="invalid_api_key")


def rejection_for(fault: Fault) -> Rejected:
    """Return the error for a fault."""
    if fault.name in ("reject", "moderation"):
        return _moderated("input" if fault.name == "reject" else "output", fault.text("category"))
    if fault.name == "submit_429":
        throttled = rejection(
            429,
            "Rate limit exceeded for images per minute in organization org-simulator. Limit: 5/1min.",
            kind="requests",
            code="rate_limit_exceeded",
        )
        throttled.headers["Retry-After"] = f"{fault.number('retry_after'):g}"
        return throttled
    return {
        "invalid_key": invalid_key,
        "insufficient_quota": _no_quota,
        "submit_503": _overloaded,
        "fail": _failed,
    }.get(fault.name, server_error)()


def server_error(status: int = 500) -> Rejected:
    message = "The server had an error while processing your request. Sorry about that!"
    return rejection(status, message, kind="server_error", code=None)


def _no_quota() -> Rejected:
    message = "You exceeded your current quota, please check your plan and billing details."
    return rejection(429, message, kind="insufficient_quota", code="insufficient_quota")


def _overloaded() -> Rejected:
    message = "That model is currently overloaded with other requests. Please retry later."
    return rejection(503, message, kind="server_error", code="server_is_overloaded")


def _failed() -> Rejected:
    message = "Image generation failed."
    return rejection(500, message, kind="image_generation_server_error", code="image_generation_failed")


def _moderated(stage: str, category: str) -> Rejected:
    """Return a refusal. `moderation_details` is documented only for other endpoints."""
    error: dict[str, Any] = {
        "message": "Your request was rejected by the safety system. If this is an error, contact us"
        f" and include the request ID. safety_violations=[{category}].",
        "type": "image_generation_user_error",
        "param": None,
        "code": "moderation_blocked",
        "moderation_details": {"moderation_stage": stage, "categories": [category]},
    }
    return Rejected(400, {"error": error})
