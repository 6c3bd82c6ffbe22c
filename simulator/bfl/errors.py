"""How Black Forest Labs turns a request away: FastAPI's errors, and one body of its own for its limits."""

from typing import Any

from pydantic import ValidationError

from simulator.faults import Fault


class Refused(Exception):
    """The request was not accepted: no task, and nothing is charged."""

    def __init__(self, status: int, body: dict[str, Any]) -> None:
        super().__init__(status)
        self.status = status
        self.body = body


def told(status: int, detail: str) -> Refused:
    return Refused(status, {"detail": detail})


def invalid(field: str | None, message: str, kind: str = "value_error") -> Refused:
    """field: None for the body as a whole."""
    loc = ["body"] if field is None else ["body", field]
    return Refused(422, {"detail": [{"loc": loc, "msg": message, "type": kind}]})


def invalid_fields(error: ValidationError) -> Refused:
    detail = [
        {"loc": ["body", *item["loc"]], "msg": item["msg"], "type": item["type"]} for item in error.errors()
    ]
    return Refused(422, {"detail": detail})


def over_limit(message: str, retry_after_seconds: float) -> Refused:
    body = {"error": "rate_limit_exceeded", "message": message, "retry_after": retry_after_seconds}
    return Refused(429, body)


def by_fault(fault: Fault) -> Refused:
    """What a fault at the door says."""
    if fault.name == "submit_429":
        return over_limit("Too many requests.", fault.number("retry_after"))
    if fault.name == "reject":
        return invalid("prompt", "The request was refused.")
    return {
        "submit_402": told(402, "Insufficient credits"),
        "submit_500": told(500, "Internal server error"),
        "submit_502": told(502, "Bad gateway"),
        "submit_503": told(503, "Service unavailable"),
    }[fault.name]
