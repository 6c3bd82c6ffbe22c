"""How Black Forest Labs rejects a request: FastAPI's errors, and its own body for its limits."""

from pydantic import ValidationError

from simulator.core.faults.switches import Fault
from simulator.core.rejected import Rejected


def rejection(status: int, detail: str) -> Rejected:
    return Rejected(status, {"detail": detail})


def invalid(field: str | None, message: str, kind: str = "value_error") -> Rejected:
    """Return a validation error. field: None for the whole body."""
    loc = ["body"] if field is None else ["body", field]
    return Rejected(422, {"detail": [{"loc": loc, "msg": message, "type": kind}]})


def invalid_fields(error: ValidationError) -> Rejected:
    detail = [
        {"loc": ["body", *item["loc"]], "msg": item["msg"], "type": item["type"]} for item in error.errors()
    ]
    return Rejected(422, {"detail": detail})


def over_limit(message: str, retry_after_seconds: float) -> Rejected:
    body = {"error": "rate_limit_exceeded", "message": message, "retry_after": retry_after_seconds}
    return Rejected(429, body)


def rejection_for(fault: Fault) -> Rejected:
    """Return the rejection of a fault at submit."""
    if fault.name == "submit_429":
        return over_limit("Too many requests.", fault.number("retry_after"))
    if fault.name == "reject":
        return invalid("prompt", "The request was refused.")
    return {
        "submit_402": rejection(402, "Insufficient credits"),
        "submit_500": rejection(500, "Internal server error"),
        "submit_502": rejection(502, "Bad gateway"),
        "submit_503": rejection(503, "Service unavailable"),
    }[fault.name]
