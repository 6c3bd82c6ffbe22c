"""Gemini's error envelope, its responses without an image, and the one for each fault."""

import secrets
from typing import Any

from simulator.core.faults.switches import Fault
from simulator.core.rejected import Rejected

_STATUS = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    429: "RESOURCE_EXHAUSTED",
    500: "INTERNAL",
    503: "UNAVAILABLE",
}
_TYPE = "type.googleapis.com/google.rpc."


def rejection(code: int, message: str, *details: dict[str, Any]) -> Rejected:
    error: dict[str, Any] = {"code": code, "message": message, "status": _STATUS.get(code, "UNKNOWN")}
    if details:
        error["details"] = list(details)
    return Rejected(code, {"error": error})


def invalid(message: str) -> Rejected:
    return rejection(400, message)


def invalid_key(code: int = 400) -> Rejected:
    """Return the error of a wrong key: an invalid argument with its own reason."""
    reason = {"@type": f"{_TYPE}ErrorInfo", "reason": "API_KEY_INVALID", "domain": "googleapis.com"}
    return rejection(code, "API key not valid. Please pass a valid API key.", reason)


def no_key() -> Rejected:
    message = "Method doesn't allow unregistered callers (callers without established identity)."
    return rejection(403, message)


def rejection_for(fault: Fault) -> Rejected:
    """Return the rejection for a fault: 200 without an image if the content is the reason."""
    match fault.name:
        case "submit_429":
            retry = {"@type": f"{_TYPE}RetryInfo", "retryDelay": f"{fault.number('retry_after'):g}s"}
            return rejection(429, "Resource has been exhausted (e.g. check quota).", retry)
        case "submit_503":
            return rejection(503, "The model is overloaded. Please try again later.")
        case "invalid_key":
            return invalid_key(int(fault.number("status")))
        case "reject":
            return _answer({"promptFeedback": {"blockReason": fault.text("reason")}})
        case "moderation" | "finish_reason":
            reason = fault.text("reason")
            message = f"The simulator ends with {reason} and shows no picture."
            return _candidate({"content": {}, "finishReason": reason, "finishMessage": message})
        case "text_only":
            parts = [{"text": "I would rather describe it to you."}]
            return _candidate({"content": {"role": "model", "parts": parts}, "finishReason": "STOP"})
        case _:
            return rejection(500, "An internal error has occurred. Please retry.")


def _candidate(fields: dict[str, Any]) -> Rejected:
    return _answer({"candidates": [{**fields, "index": 0}]})


def _answer(fields: dict[str, Any]) -> Rejected:
    usage = {"promptTokenCount": 8, "totalTokenCount": 8}
    return Rejected(200, {**fields, "usageMetadata": usage, "responseId": new_response_id()})


def new_response_id() -> str:
    return secrets.token_urlsafe(16)
