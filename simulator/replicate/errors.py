"""Replicate's errors: problem documents, except for throttling."""

from typing import Any

from pydantic import ValidationError

from simulator.core.faults.switches import Fault
from simulator.core.rejected import Rejected


def problem(status: int, title: str, detail: str, **more: Any) -> Rejected:
    body = {"title": title, "detail": detail, "status": status, **more}
    return Rejected(status, body, media_type="application/problem+json")


def throttled(retry_after_seconds: float) -> Rejected:
    """Return 429, which is not a problem document."""
    seconds = f"{retry_after_seconds:g}"
    body = {"detail": f"Request was throttled. Your rate limit resets in ~{seconds}s."}
    return Rejected(429, body, {"Retry-After": seconds})


def unauthenticated() -> Rejected:
    return problem(401, "Unauthenticated", "You did not pass a valid authentication token")


def not_found() -> Rejected:
    return problem(404, "Not found", "The requested resource could not be found.")


def invalid_input(field: str, description: str, kind: str = "invalid") -> Rejected:
    fields = [{"type": kind, "field": field, "description": description}]
    return problem(422, "Input validation failed", f"- {field}: {description}\n", invalid_fields=fields)


def invalid_fields(error: ValidationError) -> Rejected:
    """Return pydantic's errors in Replicate's format."""
    fields = [_field(str(item["loc"][-1]) if item["loc"] else "", item) for item in error.errors()]
    detail = "".join(f"- {field['field']}: {field['description']}\n" for field in fields)
    return problem(422, "Input validation failed", detail, invalid_fields=fields)


def rejection_for(fault: Fault) -> Rejected:
    """Return the rejection of a fault at submit."""
    if fault.name == "submit_429":
        return throttled(fault.number("retry_after"))
    if fault.name == "reject":
        return invalid_input("input", "the request was refused")
    status, title, detail = {
        "submit_402": (402, "Insufficient credit", "You have insufficient credit to run this model."),
        "submit_500": (500, "Internal server error", "An unexpected error occurred."),
        "submit_503": (503, "Service unavailable", "The service is temporarily unavailable."),
    }[fault.name]
    return problem(status, title, detail)


def _field(name: str, item: Any) -> dict[str, str]:
    if item["type"] == "missing":
        return {"type": "required", "field": "input", "description": f"{name} is required"}
    return {"type": item["type"], "field": f"input.{name}", "description": item["msg"]}
